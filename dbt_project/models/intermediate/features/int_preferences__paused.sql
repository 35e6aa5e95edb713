-- The newest request for a pause counts. Of requests made at the same moment the one that lasts longest does, and one
-- whose date cannot be read lasts until the customer says something else.
with preferences as (

    select
        ids.customer_id,
        trim(preferences.value) as day,
        preferences.occurred_at
    from {{ ref('stg_shop__preferences') }} as preferences
    inner join {{ ref('int_ids__resolved') }} as ids on preferences.customer_id = ids.id
    where preferences.choice = 'pause_until'

),

newest as (

    select
        customer_id,
        case when regexp_full_match(day, '[0-9]{4}-[0-9]{2}-[0-9]{2}') then try_cast(day as date) end as until
    from preferences
    qualify rank() over (partition by customer_id order by occurred_at desc) = 1

),

final as (

    select
        customer_id,
        case when bool_and(until is not null) then max(until) end as paused_until
    from newest
    group by customer_id

)

select * from final
