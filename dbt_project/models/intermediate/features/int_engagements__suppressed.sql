-- Who unsubscribes, complains or cannot be reached says so about the contact channel of the message.
with engagements as (

    select * from {{ ref('stg_shop__engagements') }} where event_type in ('unsubscribe', 'complaint', 'bounce')

),

contacts as (

    select * from {{ ref('stg_shop__contacts') }}

),

final as (

    select
        engagements.message_id,
        contacts.customer_id,
        contacts.channel as contact_channel,
        case engagements.event_type when 'bounce' then 'hard_bounce' else engagements.event_type end as reason,
        engagements.occurred_at
    from engagements
    left join contacts on engagements.message_id = contacts.message_id

)

select * from final
