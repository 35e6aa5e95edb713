-- Only the year of birth is known, so the birthday is taken to be the last day of it.
with customers as (

    select customer_id, birth_year from {{ ref('stg_shop__customers') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

final as (

    select
        customers.customer_id,
        coalesce(make_date(customers.birth_year + settings.min_age, 12, 31) > settings.run_date, false) as is_minor
    from customers
    cross join settings

)

select * from final
