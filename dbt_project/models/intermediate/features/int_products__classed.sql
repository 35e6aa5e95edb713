-- A need is a category down to category_levels: the whole bathroom, not the wash basin.
with products as (

    select * from {{ ref('dim_products') }} where not sensitive

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

steps as (

    select
        products.product_id,
        products.replenishable,
        list_filter(
            list_transform(string_split(products.category, '>'), lambda step : trim(step)),
            lambda step : step <> ''
        ) as path
    from products

),

final as (

    select
        steps.product_id,
        nullif(array_to_string(steps.path[1:needs.category_levels], ' > '), '') as category,
        steps.replenishable
    from steps
    cross join needs

)

select * from final
