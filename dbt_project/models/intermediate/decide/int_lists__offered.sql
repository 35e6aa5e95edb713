-- What a customer would get over each channel, and since when the same has been on record as the newest export there.
with recommendations as (

    select * from {{ ref('fct_recommendations') }}

),

channels as (

    select * from {{ ref('stg_night__channels') }}

),

past_items as (

    select past.*
    from {{ ref('stg_night__past_items') }} as past
    inner join channels on past.channel = channels.channel and channels.skip_unchanged

),

lists as (

    select
        recommendations.customer_id,
        channels.channel,
        recommendations.rank,
        recommendations.product_id
    from recommendations
    inner join channels on recommendations.rank <= channels.slots

),

lengths as (

    select
        customer_id,
        channel,
        count(*) as items
    from lists
    group by customer_id, channel

),

newest_nights as (

    select
        customer_id,
        channel,
        max(run_date) as run_date
    from past_items
    where rank = 1
    group by customer_id, channel

),

newest as (

    select past_items.*
    from past_items
    inner join newest_nights
        on past_items.customer_id = newest_nights.customer_id
        and past_items.channel = newest_nights.channel
        and past_items.run_date = newest_nights.run_date

),

comparison as (

    select
        newest.customer_id,
        newest.channel,
        newest.run_date,
        count(*) as items,
        count(lists.product_id) as same_items
    from newest
    left join lists
        on newest.customer_id = lists.customer_id
        and newest.channel = lists.channel
        and newest.rank = lists.rank
        and newest.product_id = lists.product_id
    group by newest.customer_id, newest.channel, newest.run_date

),

final as (

    select
        lengths.customer_id,
        lengths.channel,
        lengths.items,
        comparison.run_date as unchanged_since
    from lengths
    left join comparison
        on lengths.customer_id = comparison.customer_id
        and lengths.channel = comparison.channel
        and lengths.items = comparison.items
        and lengths.items = comparison.same_items

)

select * from final
