with products as (

    select * from {{ ref('stg_shop__products') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

described as (

    select
        products.product_id,
        products.name,
        products.category,
        nullif(trim(split_part(products.category, '>', 1)), '') as top_category,
        products.brand,
        coalesce(products.currency, settings.currency) as currency,
        products.url,
        products.image_url,
        products.price,
        products.tags,
        coalesce(products.is_active, false) as is_active,
        coalesce(products.in_stock, false) as in_stock,
        coalesce(products.replenishable, false) as replenishable,
        coalesce(products.sensitive, false) as sensitive,
        products.launched_at
    from products
    cross join settings

),

judged as (

    select
        *,
        case
            when not is_active then 'not_active'
            when not in_stock then 'not_in_stock'
            when sensitive then 'sensitive'
        end as ineligible_reason
    from described

),

final as (

    select
        product_id,
        name,
        category,
        top_category,
        brand,
        currency,
        url,
        image_url,
        ineligible_reason,
        price,
        tags,
        is_active,
        in_stock,
        replenishable,
        sensitive,
        is_active and in_stock and not sensitive as is_eligible,
        launched_at
    from judged

)

select * from final
