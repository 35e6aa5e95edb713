with choices as (

    select * from {{ ref('int_preferences__chosen') }}

),

topics as (

    select
        topic,
        count(*) as products
    from {{ ref('int_products__classified') }}
    where is_eligible
    group by topic

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

final as (

    select
        choices.customer_id,
        choices.topic,
        choices.choice,
        choices.stated_at,
        case
            when choices.choice = 'interested' then round(
                pow(
                    0.5,
                    date_diff('second', choices.stated_at, settings.night_end)
                    / (86400.0 * settings.interest_half_life_days)
                ),
                6
            )
            else 1.0
        end as strength,
        choices.choice = 'interested'
        and choices.stated_at <= settings.night_end - to_days(cast(settings.interest_expire_days as integer))
            as is_expired,
        coalesce(topics.products, 0) as products
    from choices
    left join topics on choices.topic = topics.topic
    cross join settings

)

select
    customer_id,
    topic,
    choice,
    stated_at,
    cast(strength as double) as strength,
    is_expired,
    products
from final
