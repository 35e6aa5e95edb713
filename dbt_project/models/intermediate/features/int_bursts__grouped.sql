with visits as (

    select * from {{ ref('int_visits__spaced') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

numbered as (

    select
        visits.customer_id,
        visits.category,
        visits.day,
        case when visits.gap <= needs.burst_days then visits.gap else 0 end as pause,
        count(*) filter (where visits.gap is null or visits.gap > needs.burst_days) over (
            partition by visits.customer_id, visits.category order by visits.day
        ) as burst
    from visits
    cross join needs

),

grouped as (

    select
        customer_id,
        category,
        burst,
        count(*) as days,
        max(pause) as longest_pause,
        min(day) as first_on,
        max(day) as last_on
    from numbered
    group by customer_id, category, burst

),

final as (

    select
        *,
        lead(first_on) over (partition by customer_id, category order by burst) as next_on
    from grouped

)

select * from final
