-- Compared with themselves: of the people who finished a need, how many turned to another category for the first time
-- within follows_days after it, and how many within follows_days before it. Who buys much buys much on both sides.
-- And compared with everybody: how many first turned to that category in the same weeks, for swimwear follows the
-- winter and not the bathroom.
with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

rhythms as (

    select category from {{ ref('category_rhythms') }} where kind = 'one_off'

),

bursts as (

    select * from {{ ref('int_bursts__grouped') }} where burst = 1

),

-- Only who was a customer long enough before, and has been long enough since, has two whole windows to compare.
arrivals as (

    select
        customer_id,
        min(first_on) as first_on
    from bursts
    group by customer_id

),

finishers as (

    select
        bursts.customer_id,
        bursts.category,
        bursts.first_on,
        bursts.last_on
    from bursts
    inner join rhythms on bursts.category = rhythms.category
    inner join arrivals on bursts.customer_id = arrivals.customer_id
    cross join settings
    cross join needs
    where
        arrivals.first_on < bursts.first_on - needs.follows_days
        and bursts.last_on + needs.follows_days <= settings.run_date

),

finished as (

    select
        category,
        count(*) as finishers
    from finishers
    group by category

),

turns as (

    select
        finishers.category,
        bursts.category as next_category,
        count(*) filter (
            where bursts.first_on > finishers.last_on and bursts.first_on <= finishers.last_on + needs.follows_days
        ) as buyers,
        count(*) filter (
            where bursts.first_on < finishers.first_on and bursts.first_on >= finishers.first_on - needs.follows_days
        ) as buyers_before
    from finishers
    cross join needs
    inner join bursts
        on finishers.customer_id = bursts.customer_id and finishers.category <> bursts.category
    group by finishers.category, bursts.category

),

-- Both windows of every finisher, as days: how many finishers look at what everybody turned to on that day.
windows as (

    select
        finishers.category,
        finishers.last_on + cast(away.away as integer) as day,
        count(*) as after,
        0 as before
    from finishers
    cross join needs
    cross join lateral unnest(range(1, needs.follows_days + 1)) as away (away)
    group by all
    union all
    select
        finishers.category,
        finishers.first_on - cast(away.away as integer) as day,
        0 as after,
        count(*) as before
    from finishers
    cross join needs
    cross join lateral unnest(range(1, needs.follows_days + 1)) as away (away)
    group by all

),

everybody as (

    select
        category as next_category,
        first_on as day,
        count(*) as people
    from bursts
    group by category, first_on

),

season as (

    select
        windows.category,
        everybody.next_category,
        sum(windows.after * everybody.people) as after,
        sum(windows.before * everybody.people) as before
    from windows
    inner join everybody on windows.day = everybody.day
    group by windows.category, everybody.next_category

),

weighed as (

    select
        turns.category,
        turns.next_category,
        turns.buyers,
        turns.buyers_before,
        finished.finishers,
        turns.buyers + turns.buyers_before as both_sides,
        season.after / (season.after + season.before) as usual_share
    from turns
    inner join finished on turns.category = finished.category
    inner join season on turns.category = season.category and turns.next_category = season.next_category
    where season.after > 0 and season.before > 0 and turns.buyers > 0

),

judged as (

    select
        *,
        buyers_before * usual_share / (1 - usual_share) as expected,
        (buyers - both_sides * usual_share) / sqrt(both_sides * usual_share * (1 - usual_share)) as deviations
    from weighed

),

final as (

    select
        judged.category,
        judged.next_category,
        cast(
            row_number() over (
                partition by judged.category order by judged.buyers desc, judged.next_category
            ) as bigint
        ) as rank,
        judged.buyers,
        judged.buyers_before,
        cast(judged.expected as double) as expected,
        cast(judged.buyers / judged.finishers as double) as share,
        cast((judged.buyers + 1) / (judged.expected + 1) as double) as lift
    from judged
    cross join needs
    where
        -- further from usual than chance brings one pair in 4,000
        judged.deviations >= 3.5
        and judged.buyers >= needs.follows_min_buyers
        and (judged.buyers + 1) / (judged.expected + 1) >= needs.follows_min_lift

)

select * from final
