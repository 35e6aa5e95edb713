with products as (

    select product_id from {{ ref('dim_products') }} where is_eligible

),

order_lines as (

    select * from {{ ref('int_order_lines__attributed') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

per_person as (

    select
        order_lines.product_id,
        order_lines.person_id,
        sum(order_lines.quantity) > 0 as has_bought_ever,
        coalesce(
            sum(order_lines.quantity) filter (
                where order_lines.ordered_at >= settings.night_end - to_days(cast(settings.popular_days as integer))
            ) > 0,
            false
        ) as has_bought
    from order_lines
    cross join settings
    group by order_lines.product_id, order_lines.person_id

),

counts as (

    select
        product_id,
        count(*) filter (where has_bought) as buyers,
        count(*) filter (where has_bought_ever) as buyers_ever
    from per_person
    group by product_id

),

counted as (

    select
        products.product_id,
        coalesce(counts.buyers, 0) as buyers,
        coalesce(counts.buyers_ever, 0) as buyers_ever
    from products
    left join counts on products.product_id = counts.product_id

),

final as (

    select
        product_id,
        buyers,
        buyers_ever,
        row_number() over (order by buyers desc, buyers_ever desc, product_id) as rank
    from counted

)

select * from final
