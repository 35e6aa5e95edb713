with web_events as (

    select * from {{ ref('stg_shop__web_events') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

permissions as (

    select customer_id, may_personalise from {{ ref('int_customers__permitted') }}

),

final as (

    select
        ids.customer_id,
        web_events.product_id,
        web_events.event_type,
        web_events.occurred_at
    from web_events
    inner join ids on coalesce(web_events.customer_id, web_events.visitor_id) = ids.id
    inner join permissions on ids.customer_id = permissions.customer_id
    where permissions.may_personalise

)

select * from final
