-- What was sent, not what was recommended: a list that nobody received narrows nobody's view.
with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

customers as (

    select customer_id from {{ ref('dim_customers') }} where may_personalise and not is_minor

),

products as (

    select
        product_id,
        {{ normalised_topic('top_category') }} as top_category
    from {{ ref('dim_products') }}
    where top_category is not null and not sensitive

),

per_product as (

    select
        past_items.customer_id,
        past_items.product_id,
        -- one bit per night, however many channels carried it; distinct counts of many million rows take too much memory
        bit_or(cast(1 as bigint) << (settings.run_date - past_items.run_date)) as on_nights
    from {{ ref('stg_night__past_items') }} as past_items
    inner join customers on past_items.customer_id = customers.customer_id
    cross join settings
    group by past_items.customer_id, past_items.product_id

),

per_category as (

    select
        per_product.customer_id,
        products.top_category as category,
        bit_count(bit_or(per_product.on_nights)) as nights,
        sum(bit_count(per_product.on_nights)) as items
    from per_product
    inner join products on per_product.product_id = products.product_id
    group by per_product.customer_id, products.top_category

),

shared as (

    select
        customer_id,
        category,
        nights,
        items,
        cast(sum(items) over (partition by customer_id) as bigint) as all_items,
        items / sum(items) over (partition by customer_id) as share
    from per_category

),

final as (

    select
        shared.customer_id,
        shared.category,
        cast(shared.nights as bigint) as nights,
        cast(shared.items as bigint) as items,
        cast(shared.share as double) as share,
        shared.all_items >= needs.narrow_min_items and shared.share > needs.narrow_share as is_narrow
    from shared
    cross join needs

)

select * from final
