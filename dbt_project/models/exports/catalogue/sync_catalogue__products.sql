with named as (

    select product_id from {{ ref('sync_email_file__items') }}
    union
    select product_id from {{ ref('sync_crm_file__items') }}
    union
    select product_id from {{ ref('sync_tool__items') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

final as (

    select
        products.product_id,
        products.name,
        products.category,
        products.brand,
        products.price,
        products.currency,
        products.url,
        products.image_url
    from products
    inner join named on products.product_id = named.product_id

)

select * from final
