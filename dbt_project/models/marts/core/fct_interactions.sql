with interactions as (

    select * from {{ ref('int_interactions__weighted') }}

),

per_product as (

    select
        customer_id,
        product_id,
        cast(sum(quantity) as bigint) as quantity,
        count(*) filter (where kind = 'order' and occurred_at is not null) as orders,
        count(*) filter (where kind = 'cart') as carts,
        count(*) filter (where kind = 'wishlist') as wishlists,
        count(*) filter (where kind = 'view') as views,
        coalesce(sum(weight_millionths) filter (where kind = 'order' and quantity > 0), 0) as bought_millionths,
        coalesce(sum(weight_millionths) filter (where kind <> 'order'), 0) as seen_millionths,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        max(occurred_at) filter (where kind = 'order') as last_ordered_at
    from interactions
    group by customer_id, product_id

),

-- What was sent back in full was not liked: its orders count nothing.
kept as (

    select
        *,
        quantity > 0 as is_bought,
        (case when quantity > 0 then bought_millionths else 0 end + seen_millionths) / 1e6 as weight
    from per_product

),

final as (

    select
        customer_id,
        product_id,
        quantity,
        orders,
        carts,
        wishlists,
        views,
        cast(weight as double) as weight,
        is_bought,
        first_at,
        last_at,
        last_ordered_at
    from kept
    where weight > 0 or is_bought

)

select * from final
