-- Whoever bought lately has had no time to come back. So every share counts only purchases that lie observe_days or
-- more before the night, and asks of each the same: what came within observe_days after it?
with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

bursts as (

    select * from {{ ref('int_bursts__grouped') }}

),

spaced as (

    select * from {{ ref('int_repurchases__spaced') }} where category is not null

),

products as (

    select
        category,
        bool_or(replenishable) as has_replenishable
    from {{ ref('int_products__classed') }}
    where category is not null
    group by category

),

buyers as (

    select
        bursts.category,
        bursts.customer_id,
        max(bursts.burst) as bursts,
        bool_or(bursts.burst = 1 and bursts.last_on + needs.observe_days <= settings.run_date) as is_observed,
        bool_or(bursts.burst = 1 and bursts.next_on <= bursts.last_on + needs.observe_days) as came_back
    from bursts
    cross join settings
    cross join needs
    group by bursts.category, bursts.customer_id

),

comebacks as (

    select
        category,
        count(*) as buyers,
        count(*) filter (where bursts = 1) as buyers_once,
        count(*) filter (where is_observed) as buyers_observed,
        count(*) filter (where is_observed and not coalesce(came_back, false))
        / nullif(count(*) filter (where is_observed), 0) as share_never_again
    from buyers
    group by category

),

pauses as (

    select
        bursts.category,
        bursts.longest_pause,
        cume_dist() over (partition by bursts.category order by bursts.longest_pause) as share_of_bursts
    from bursts
    cross join settings
    cross join needs
    where bursts.last_on + needs.burst_days < settings.run_date

),

quiet as (

    select
        pauses.category,
        min(pauses.longest_pause) as quiet_days
    from pauses
    cross join needs
    where pauses.share_of_bursts >= needs.quiet_share
    group by pauses.category

),

visits as (

    select
        category,
        day - lag(day) over (partition by customer_id, category order by day) as gap
    from (select distinct customer_id, category, day from spaced) as days

),

visit_gaps as (

    select
        category,
        cast(median(gap) as double) as median_days_to_repurchase
    from visits
    where gap is not null
    group by category

),

same_product as (

    select
        spaced.category,
        spaced.customer_id,
        spaced.product_id,
        min(spaced.day) + needs.observe_days <= settings.run_date as is_observed,
        min(spaced.day) filter (where spaced.gap is not null) <= min(spaced.day) + needs.observe_days as came_back
    from spaced
    cross join settings
    cross join needs
    group by spaced.category, spaced.customer_id, spaced.product_id, needs.observe_days, settings.run_date

),

same_again as (

    select
        category,
        count(*) filter (where is_observed and came_back)
        / nullif(count(*) filter (where is_observed), 0) as share_same_again
    from same_product
    group by category

),

same_gaps as (

    select
        category,
        count(*) as repurchases,
        cast(median(gap) as double) as median_days_to_same,
        (quantile_cont(gap, 0.75) - quantile_cont(gap, 0.25)) / median(gap) as irregularity
    from spaced
    where gap is not null
    group by category

),

facts as (

    select
        comebacks.*,
        coalesce(quiet.quiet_days, needs.burst_days) as quiet_days,
        visit_gaps.median_days_to_repurchase,
        coalesce(same_again.share_same_again, 0) as share_same_again,
        coalesce(same_gaps.repurchases, 0) as repurchases,
        same_gaps.median_days_to_same,
        same_gaps.irregularity,
        products.has_replenishable
    from comebacks
    inner join products on comebacks.category = products.category
    cross join needs
    left join quiet on comebacks.category = quiet.category
    left join visit_gaps on comebacks.category = visit_gaps.category
    left join same_again on comebacks.category = same_again.category
    left join same_gaps on comebacks.category = same_gaps.category

),

final as (

    select
        facts.category,
        case
            when facts.buyers_observed < needs.min_buyers then 'unknown'
            when
                facts.share_same_again >= needs.again_share
                and facts.repurchases >= needs.min_gaps
                and facts.irregularity <= needs.max_irregularity then 'replenishable'
            when facts.share_never_again >= needs.one_off_share and not facts.has_replenishable then 'one_off'
            else 'recurring'
        end as kind,
        facts.buyers,
        facts.buyers_once,
        facts.buyers_observed,
        facts.share_never_again,
        facts.share_same_again,
        facts.repurchases,
        facts.median_days_to_repurchase,
        facts.median_days_to_same,
        facts.irregularity,
        cast(facts.quiet_days as bigint) as quiet_days,
        facts.has_replenishable
    from facts
    cross join needs

)

select * from final
