with customers as (

    select customer_id, country, timezone from {{ ref('dim_customers') }}

),

clocks as (

    select distinct clock from {{ ref('int_clocks__composed') }}

),

final as (

    select
        customers.customer_id,
        coalesce(own_zones.clock, countries.clock, 'unknown') as clock
    from customers
    left join clocks as own_zones on 'zone ' || customers.timezone = own_zones.clock
    left join clocks as countries on 'country ' || customers.country = countries.clock

)

select * from final
