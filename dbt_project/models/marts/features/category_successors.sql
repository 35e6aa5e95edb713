-- Compared with themselves: of the people who finished a need, how many turned to another category for the first time
-- within follows_days after it, and how many within follows_days before it. Who buys much buys much on both sides.
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

    select * from {{ ref('int_bursts__grouped') }}

),

-- Only who was a customer long enough before, and has been long enough since, has two whole windows to compare.
arrivals as (

    select
        customer_id,
        min(day) as first_on
    from {{ ref('int_purchases__dated') }}
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
        bursts.burst = 1
        and arrivals.first_on < bursts.first_on - needs.follows_days
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
        on
            finishers.customer_id = bursts.customer_id
            and finishers.category <> bursts.category
            and bursts.burst = 1
    group by finishers.category, bursts.category

),

judged as (

    select
        turns.category,
        turns.next_category,
        turns.buyers,
        turns.buyers_before,
        turns.buyers / finished.finishers as share,
        (turns.buyers + 1) / (turns.buyers_before + 1) as lift,
        (turns.buyers - turns.buyers_before) / sqrt(turns.buyers + turns.buyers_before) as deviations
    from turns
    inner join finished on turns.category = finished.category
    where turns.buyers + turns.buyers_before > 0

),

final as (

    select
        judged.category,
        judged.next_category,
        cast(
            row_number() over (
                partition by judged.category order by judged.buyers desc, judged.lift desc, judged.next_category
            ) as bigint
        ) as rank,
        judged.buyers,
        judged.buyers_before,
        judged.share,
        judged.lift
    from judged
    cross join needs
    where
        -- more than chance alone gives once in 700 tries
        judged.deviations >= 3
        and judged.buyers >= needs.follows_min_buyers
        and judged.lift >= needs.follows_min_lift

)

select * from final
