-- Weights are whole millionths: their sums do not depend on the order in which threads add them.
with settings as (

    select * from {{ ref('stg_night__settings') }}

),

order_lines as (

    select * from {{ ref('int_order_lines__attributed') }}

),

web_events as (

    select * from {{ ref('int_web_events__attributed') }}

),

products as (

    select product_id from {{ ref('stg_shop__products') }} where sensitive is distinct from true

),

orders as (

    select
        customer_id,
        product_id,
        order_id,
        'order' as kind,
        sum(quantity) as quantity,
        cast(
            sum(cast(quantity as decimal(18, 0)) * unit_price) filter (where quantity > 0 and unit_price is not null)
            / nullif(sum(quantity) filter (where quantity > 0 and unit_price is not null), 0) as decimal(18, 4)
        ) as unit_price,
        min(ordered_at) filter (where quantity > 0) as occurred_at,
        coalesce(min(ordered_at) filter (where quantity > 0), min(ordered_at)) as known_at
    from order_lines
    where customer_id is not null
    group by order_id, customer_id, product_id

),

interactions as (

    select
        customer_id, product_id, order_id, kind, cast(quantity as bigint) as quantity, unit_price, occurred_at, known_at
    from orders
    union all
    select customer_id, product_id, null, event_type, 0, null, occurred_at, occurred_at
    from web_events
    where event_type in ('cart', 'wishlist', 'view')

),

final as (

    select
        interactions.customer_id,
        interactions.product_id,
        interactions.order_id,
        interactions.kind,
        interactions.quantity,
        interactions.unit_price,
        cast(
            round(
                1e6
                * cast(
                    interactions.occurred_at
                    >= settings.night_end - to_days(cast(coalesce(settings.window_days, 1000000) as integer)) as integer
                )
                * case interactions.kind
                    when 'order' then settings.weight_order
                    when 'cart' then settings.weight_cart
                    when 'wishlist' then settings.weight_wishlist
                    when 'view' then settings.weight_view
                end
                * pow(
                    0.5,
                    date_diff('second', interactions.occurred_at, settings.night_end)
                    / (86400.0 * settings.half_life_days)
                )
            ) as bigint
        ) as weight_millionths,
        interactions.occurred_at,
        interactions.known_at
    from interactions
    inner join products on interactions.product_id = products.product_id
    cross join settings

)

select * from final
