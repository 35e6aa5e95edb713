with web_events as (

    select * from {{ ref('stg_shop__web_events') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

minors as (

    select customer_id from {{ ref('int_customers__permitted') }} where is_minor

),

final as (

    select
        ids.customer_id,
        web_events.product_id,
        web_events.event_type,
        web_events.occurred_at
    from web_events
    inner join ids on coalesce(web_events.customer_id, web_events.visitor_id) = ids.id
    where not exists (select 1 from minors where minors.customer_id = ids.customer_id)

)

select * from final
