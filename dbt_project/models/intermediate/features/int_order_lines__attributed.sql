with order_lines as (

    select * from {{ ref('stg_shop__order_lines') }}

),

customers as (

    select customer_id from {{ ref('stg_shop__customers') }}

),

visitors as (

    select * from {{ ref('int_visitors__resolved') }}

),

final as (

    select
        order_lines.order_id,
        coalesce(
            customers.customer_id, visitors.customer_id, order_lines.customer_id, order_lines.visitor_id
        ) as person_id,
        coalesce(customers.customer_id, visitors.customer_id) as customer_id,
        order_lines.product_id,
        order_lines.quantity,
        order_lines.unit_price,
        order_lines.ordered_at
    from order_lines
    left join customers on coalesce(order_lines.customer_id, order_lines.visitor_id) = customers.customer_id
    left join visitors on coalesce(order_lines.customer_id, order_lines.visitor_id) = visitors.visitor_id

)

select * from final
