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

returning as (

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
        quantile_disc(bursts.longest_pause, [0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0]) as quiet_days
    from bursts
    cross join settings
    cross join needs
    where bursts.last_on + needs.burst_days < settings.run_date
    group by bursts.category

),

gaps as (

    select
        category,
        median(gap) as median_gap,
        quantile_cont(gap, 0.75) - quantile_cont(gap, 0.25) as middle_half,
        count(gap) as repurchases
    from spaced
    group by category

),

final as (select 1)

select * from final
