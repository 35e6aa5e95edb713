with customers as (

    select * from {{ ref('stg_shop__customers') }}

),

visitors as (

    select
        customer_id,
        count(*) as visitors
    from {{ ref('int_visitors__resolved') }}
    group by customer_id

),

permissions as (

    select * from {{ ref('int_customers__permitted') }}

),

final as (

    select
        customers.customer_id,
        customers.email,
        customers.phone,
        customers.first_name,
        customers.last_name,
        customers.country,
        customers.language,
        customers.timezone,
        customers.birth_year,
        coalesce(visitors.visitors, 0) as visitors,
        permissions.is_minor,
        permissions.may_personalise,
        customers.created_at,
        customers.updated_at
    from customers
    inner join permissions on customers.customer_id = permissions.customer_id
    left join visitors on customers.customer_id = visitors.customer_id

)

select * from final
