with interactions as (

    select * from {{ ref('fct_interactions') }} where weight > 0

),

products as (

    select product_id, top_category from {{ ref('dim_products') }} where top_category is not null

),

per_category as (

    select
        interactions.customer_id,
        products.top_category as category,
        cast(sum(cast(round(interactions.weight * 1e6) as bigint)) as bigint) as millionths
    from interactions
    inner join products on interactions.product_id = products.product_id
    group by interactions.customer_id, products.top_category

),

final as (

    select
        customer_id,
        category,
        row_number() over (partition by customer_id order by millionths desc, category) as rank,
        cast(millionths as double) / cast(sum(millionths) over (partition by customer_id) as double) as share
    from per_category

)

select * from final
