-- Sensitive purchases and visits are in no figure: the difference from what is counted elsewhere would tell of them. Nor
-- is what is not in the range, about which nobody knows whether it is sensitive. A visit without a product is counted.
with customers as (

    select customer_id from {{ ref('dim_customers') }} where may_personalise

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

products as (

    select product_id from {{ ref('stg_shop__products') }} where sensitive is distinct from true

),

order_lines as (

    select order_lines.*
    from {{ ref('int_order_lines__attributed') }} as order_lines
    inner join products on order_lines.product_id = products.product_id
    where order_lines.customer_id is not null

),

web_events as (

    select web_events.*
    from {{ ref('int_web_events__attributed') }} as web_events
    left join products on web_events.product_id = products.product_id
    where web_events.product_id is null or products.product_id is not null

),

interactions as (

    select * from {{ ref('fct_interactions') }}

),

affinities as (

    select * from {{ ref('customer_category_affinities') }} where rank = 1

),

-- An order counts when something was ordered in it; a return that comes under a number of its own is no order.
orders as (

    select
        customer_id,
        order_id,
        min(ordered_at) filter (where quantity > 0) as ordered_at,
        sum(cast(quantity as decimal(18, 0)) * unit_price) as amount,
        sum(cast(quantity as decimal(18, 0)) * unit_price) filter (
            where order_lines.ordered_at >= settings.night_end - interval 365 days
        ) as amount_365d
    from order_lines
    cross join settings
    group by customer_id, order_id

),

order_totals as (

    select
        orders.customer_id,
        count(orders.ordered_at) as orders,
        count(*) filter (where orders.ordered_at >= settings.night_end - interval 90 days) as orders_90d,
        cast(coalesce(sum(orders.amount), 0) as decimal(18, 4)) as spend,
        cast(coalesce(sum(orders.amount_365d), 0) as decimal(18, 4)) as spend_365d,
        min(orders.ordered_at) as first_ordered_at,
        max(orders.ordered_at) as last_ordered_at
    from orders
    cross join settings
    group by orders.customer_id

),

order_days as (

    select distinct
        customer_id,
        cast(ordered_at as date) as day
    from orders
    where ordered_at is not null

),

gaps as (

    select
        customer_id,
        day - lag(day) over (partition by customer_id order by day) as days
    from order_days

),

rhythms as (

    select
        customer_id,
        cast(median(days) as double) as median_days_between_orders
    from gaps
    where days is not null
    group by customer_id

),

active as (

    select customer_id, day from order_days
    union
    select customer_id, cast(occurred_at as date) from web_events

),

activity as (

    select
        customer_id,
        count(*) as active_days
    from active
    group by customer_id

),

histories as (

    select
        customer_id,
        count(*) filter (where is_bought) as products_bought
    from interactions
    group by customer_id

),

final as (

    select
        customers.customer_id,
        coalesce(order_totals.orders, 0) as orders,
        coalesce(histories.products_bought, 0) as products_bought,
        coalesce(activity.active_days, 0) as active_days,
        cast(
            floor(date_diff('second', order_totals.last_ordered_at, settings.night_end) / 86400) as bigint
        ) as recency_days,
        coalesce(order_totals.orders_90d, 0) as orders_90d,
        rhythms.median_days_between_orders,
        coalesce(order_totals.spend, 0) as spend,
        coalesce(order_totals.spend_365d, 0) as spend_365d,
        cast(order_totals.spend / nullif(order_totals.orders, 0) as decimal(18, 4)) as average_order_value,
        affinities.category as top_category,
        histories.customer_id is not null as has_history,
        order_totals.first_ordered_at,
        order_totals.last_ordered_at,
        coalesce(affinities.category, 'no category') || ' / '
        || case
            when coalesce(order_totals.orders, 0) = 0 then 'no order'
            when order_totals.last_ordered_at < settings.night_end - interval 180 days then 'lapsed'
            when order_totals.orders = 1 then 'one order'
            else 'active'
        end as segment
    from customers
    cross join settings
    left join order_totals on customers.customer_id = order_totals.customer_id
    left join rhythms on customers.customer_id = rhythms.customer_id
    left join activity on customers.customer_id = activity.customer_id
    left join histories on customers.customer_id = histories.customer_id
    left join affinities on customers.customer_id = affinities.customer_id

)

select * from final
