with web_events as (

    select * from {{ ref('stg_shop__web_events') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

final as (

    select
        ids.customer_id,
        web_events.product_id,
        web_events.event_type,
        web_events.occurred_at
    from web_events
    inner join ids on coalesce(web_events.customer_id, web_events.visitor_id) = ids.id

)

select * from final
