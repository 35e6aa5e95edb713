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

visits as (

    select * from {{ ref('int_visits__spaced') }}

),

purchases as (

    select * from {{ ref('int_purchases__dated') }} where category is not null

),

products as (

    select
        category,
        min(category_name) as name,
        bool_or(replenishable) as has_replenishable
    from {{ ref('int_products__classed') }}
    where category is not null
    group by category

),

firsts as (

    select
        bursts.category,
        bursts.next_on is null as is_only,
        bursts.last_on + needs.observe_days <= settings.run_date as is_observed,
        coalesce(bursts.next_on <= bursts.last_on + needs.observe_days, false) as came_back
    from bursts
    cross join settings
    cross join needs
    where bursts.burst = 1

),

comebacks as (

    select
        category,
        count(*) as buyers,
        count(*) filter (where is_only) as buyers_once,
        count(*) filter (where is_observed) as buyers_observed,
        count(*) filter (where is_observed and not came_back)
        / nullif(count(*) filter (where is_observed), 0) as share_never_again
    from firsts
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

visit_gaps as (

    select
        category,
        cast(median(gap) as double) as median_days_to_repurchase
    from visits
    where gap is not null
    group by category

),

same_again as (

    select
        purchases.category,
        count(*) filter (where purchases.next_on <= purchases.day + needs.observe_days)
        / count(*) as share_same_again
    from purchases
    cross join settings
    cross join needs
    where purchases.gap is null and purchases.day + needs.observe_days <= settings.run_date
    group by purchases.category

),

same_gaps as (

    select
        category,
        count(*) as repurchases,
        cast(median(gap) as double) as median_days_to_same,
        (quantile_cont(gap, 0.75) - quantile_cont(gap, 0.25)) / median(gap) as irregularity
    from purchases
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
        products.name,
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
        facts.name,
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
