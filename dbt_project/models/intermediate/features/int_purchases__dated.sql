-- What was sent back in full was not bought: fct_interactions says what was kept.
with order_lines as (

    select * from {{ ref('int_order_lines__attributed') }} where customer_id is not null and quantity > 0

),

kept as (

    select customer_id, product_id from {{ ref('fct_interactions') }} where is_bought

),

days as (

    select distinct
        order_lines.customer_id,
        order_lines.product_id,
        cast(order_lines.ordered_at as date) as day
    from order_lines
    inner join kept
        on order_lines.customer_id = kept.customer_id and order_lines.product_id = kept.product_id

),

spaced as (

    select
        *,
        day - lag(day) over (partition by customer_id, product_id order by day) as gap,
        lead(day) over (partition by customer_id, product_id order by day) as next_on
    from days

),

final as (

    select
        spaced.customer_id,
        spaced.product_id,
        products.category,
        products.replenishable,
        spaced.day,
        spaced.gap,
        spaced.next_on
    from spaced
    inner join {{ ref('int_products__classed') }} as products on spaced.product_id = products.product_id

)

select * from final
