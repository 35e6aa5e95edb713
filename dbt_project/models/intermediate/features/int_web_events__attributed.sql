with web_events as (

    select * from {{ ref('stg_shop__web_events') }}

),

customers as (

    select customer_id from {{ ref('stg_shop__customers') }}

),

visitors as (

    select * from {{ ref('int_visitors__resolved') }}

),

final as (

    select
        coalesce(customers.customer_id, visitors.customer_id) as customer_id,
        web_events.product_id,
        web_events.event_type,
        web_events.occurred_at
    from web_events
    left join customers on coalesce(web_events.customer_id, web_events.visitor_id) = customers.customer_id
    left join visitors on coalesce(web_events.customer_id, web_events.visitor_id) = visitors.visitor_id
    where coalesce(customers.customer_id, visitors.customer_id) is not null

)

select * from final
