with order_lines as (

    select * from {{ ref('stg_shop__order_lines') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

permissions as (

    select customer_id, may_personalise from {{ ref('int_customers__permitted') }}

),

final as (

    select
        order_lines.order_id,
        coalesce(ids.customer_id, order_lines.customer_id, order_lines.visitor_id) as person_id,
        ids.customer_id,
        order_lines.product_id,
        order_lines.quantity,
        order_lines.unit_price,
        order_lines.ordered_at
    from order_lines
    left join ids on coalesce(order_lines.customer_id, order_lines.visitor_id) = ids.id
    left join permissions on ids.customer_id = permissions.customer_id
    where ids.customer_id is null or permissions.may_personalise

)

select * from final
