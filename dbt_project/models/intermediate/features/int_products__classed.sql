-- A need is a category down to category_levels: the whole bathroom, not the wash basin.
with products as (

    select
        product_id,
        replenishable,
        {{ normalised_topic('category') }} as path,
        category as path_written
    from {{ ref('dim_products') }}
    where not sensitive

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

steps as (

    select
        products.product_id,
        products.replenishable,
        products.path,
        array_to_string(string_split(products.path, ' > ')[1:needs.category_levels], ' > ') as category,
        list_filter(
            list_transform(string_split(products.path_written, '>'), lambda step : trim(step)),
            lambda step : step <> ''
        )[1:needs.category_levels][-1] as step_written
    from products
    cross join needs

),

final as (

    select
        product_id,
        category,
        min(step_written) over (partition by category) as category_name,
        path,
        replenishable
    from steps

)

select * from final
