with purchases as (

    select distinct customer_id, category, day from {{ ref('int_purchases__dated') }} where category is not null

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

paused as (

    select
        customer_id,
        category,
        day,
        day - lag(day) over (partition by customer_id, category order by day) as pause
    from purchases

),

numbered as (

    select
        paused.customer_id,
        paused.category,
        paused.day,
        case when paused.pause <= needs.burst_days then paused.pause else 0 end as pause,
        count(*) filter (where paused.pause is null or paused.pause > needs.burst_days) over (
            partition by paused.customer_id, paused.category order by paused.day
        ) as burst
    from paused
    cross join needs

),

final as (

    select
        customer_id,
        category,
        burst,
        count(*) as days,
        max(pause) as longest_pause,
        min(day) as first_on,
        max(day) as last_on,
        lead(min(day)) over (partition by customer_id, category order by burst) as next_on
    from numbered
    group by customer_id, category, burst

)

select * from final
