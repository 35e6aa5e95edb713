with recipients as (

    select channel, customer_id from {{ ref('sync_tool__recipients') }}

),

channels as (

    select channel, slots from {{ ref('stg_night__channels') }}

),

recommendations as (

    select * from {{ ref('fct_recommendations') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

final as (

    select
        recipients.channel,
        recipients.customer_id,
        recommendations.rank,
        recommendations.product_id,
        products.name as product_name,
        recommendations.reason,
        recommendations.reason_kind,
        recommendations.reason_about,
        products.url,
        products.image_url,
        products.price,
        products.currency
    from recipients
    inner join channels on recipients.channel = channels.channel
    inner join recommendations
        on recipients.customer_id = recommendations.customer_id
        and channels.slots >= recommendations.rank
    inner join products on recommendations.product_id = products.product_id

)

select * from final
