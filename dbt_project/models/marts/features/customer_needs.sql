with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

rhythms as (

    select * from {{ ref('category_rhythms') }} where kind = 'one_off'

),

bursts as (

    select * from {{ ref('int_bursts__grouped') }}

),

interests as (

    select * from {{ ref('int_interests__stated') }}

),

replenishments as (

    select * from {{ ref('int_replenishments__timed') }} where category is not null and every_days is not null

),

closing as (

    select
        bursts.customer_id,
        bursts.category,
        bursts.days,
        bursts.last_on,
        rhythms.quiet_days,
        bursts.last_on + cast(rhythms.quiet_days as integer) as closes_on
    from bursts
    inner join rhythms on bursts.category = rhythms.category
    where bursts.next_on is null

),

closed as (

    select
        closing.*,
        closing.closes_on <= settings.run_date as is_over,
        coalesce(cast(interests.stated_at as date) >= closing.closes_on, false) as is_wanted_again
    from closing
    cross join settings
    left join interests
        on closing.customer_id = interests.customer_id and closing.category = interests.category

),

one_offs as (

    select
        customer_id,
        category,
        case when is_over and not is_wanted_again then 'finished' else 'open' end as state,
        last_on as last_bought_on,
        case when is_over and not is_wanted_again then closes_on end as finished_on,
        cast(null as date) as next_due_on,
        case
            when is_over and is_wanted_again then 'They said that they are interested again'
            when not is_over then 'Bought lately; finished when nothing follows by ' || closes_on
            when quiet_days = 0 then 'Bought, and hardly anybody buys from it twice'
            else 'Nothing bought for ' || quiet_days || ' days, and hardly anybody comes back after that'
        end as why
    from closed

),

running as (

    select
        customer_id,
        category,
        max(last_bought_on) as last_bought_on,
        bool_or(is_due and not is_lapsed) as is_due,
        bool_or(not is_due) as is_not_due,
        min(next_due_on) filter (where is_due and not is_lapsed) as due_on,
        min(next_due_on) filter (where not is_due) as not_due_until
    from replenishments
    group by customer_id, category

),

replenished as (

    select
        customer_id,
        category,
        case when is_due then 'due' when is_not_due then 'not_due' else 'open' end as state,
        last_bought_on,
        cast(null as date) as finished_on,
        case when is_due then due_on when is_not_due then not_due_until end as next_due_on,
        case
            when is_due then 'Usually bought again by ' || due_on
            when is_not_due then 'Bought lately; usually bought again by ' || not_due_until
            else 'Not bought again for much longer than usual'
        end as why
    from running

),

final as (

    select * from one_offs
    union all by name
    select * from replenished

)

select * from final
