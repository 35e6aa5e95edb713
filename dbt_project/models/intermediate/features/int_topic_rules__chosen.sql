-- A no holds for everybody and does not age. An interest moves a list only while it lasts, and only where behaviour may be
-- used: a list that is one's own is what personalisation is.
with choices as (

    select * from {{ ref('customer_topics') }} where products > 0

),

permissions as (

    select customer_id, may_personalise from {{ ref('int_customers__permitted') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

final as (

    select
        choices.customer_id,
        choices.topic,
        case choices.choice
            when 'not_interested' then 'exclude'
            when 'less_like_this' then 'demote'
            when 'interested' then 'lift'
        end as effect,
        case choices.choice
            when 'less_like_this' then settings.less_like_this_factor
            when 'interested' then round(1 + (settings.interested_factor - 1) * choices.strength, 6)
        end as factor,
        cast(null as integer) as at_most,
        choices.choice as because
    from choices
    inner join permissions on choices.customer_id = permissions.customer_id
    cross join settings
    where choices.choice in ('not_interested', 'less_like_this')
        or (choices.choice = 'interested' and permissions.may_personalise and not choices.is_expired)

)

select * from final
