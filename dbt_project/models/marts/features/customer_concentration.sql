-- What was sent, not what was recommended: a list that nobody received narrows nobody's view.
with needs as (

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

sent as (

    select distinct past_items.run_date, past_items.customer_id, past_items.product_id, products.top_category
    from {{ ref('stg_night__past_items') }} as past_items
    inner join products on past_items.product_id = products.product_id

),

per_category as (

    select
        sent.customer_id,
        sent.top_category as category,
        count(distinct sent.run_date) as nights,
        count(*) as items
    from sent
    inner join customers on sent.customer_id = customers.customer_id
    group by sent.customer_id, sent.top_category

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
        shared.nights,
        shared.items,
        cast(shared.share as double) as share,
        shared.all_items >= needs.narrow_min_items and shared.share > needs.narrow_share as is_narrow
    from shared
    cross join needs

)

select * from final
