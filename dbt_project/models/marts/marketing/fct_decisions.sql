with customers as (

    select customer_id from {{ ref('dim_customers') }}

),

channels as (

    select * from {{ ref('stg_night__channels') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

contactability as (

    select * from {{ ref('customer_contactability') }}

),

claims as (

    select * from {{ ref('int_addresses__claimed') }}

),

suppressions as (

    select * from {{ ref('int_suppressions__matched') }}

),

pauses as (

    select * from {{ ref('int_preferences__paused') }}

),

lists as (

    select * from {{ ref('int_lists__offered') }}

),

clocks as (

    select * from {{ ref('int_customers__clocked') }}

),

opened as (

    select * from {{ ref('int_clocks__opened') }}

),

controls as (

    select * from {{ ref('int_customers__controlled') }}

),

capped as (

    select
        capped.customer_id,
        capped.channel,
        capped.messages,
        caps.contact_channel,
        caps.days,
        caps.hours,
        caps.most
    from {{ ref('int_messages__capped') }} as capped
    inner join {{ ref('stg_night__caps') }} as caps on capped.cap = caps.cap

),

facts as (

    select
        settings.run_date,
        customers.customer_id,
        channels.channel,
        channels.contact_channel,
        channels.min_items,
        contactability.is_contactable,
        contactability.reason as hindrance,
        contactability.is_objected_by_another,
        contactability.consent_valid_until,
        pauses.paused_until,
        settings.min_age,
        suppressions.reason as suppression,
        channels.contact_channel not in ('email', 'sms') or coalesce(claims.is_first, false) as is_first,
        coalesce(opened.is_open, false) as is_open,
        clocks.clock = 'unknown' as is_clock_unknown,
        controls.customer_id is not null as is_control,
        capped.most is not null as is_capped,
        capped.messages,
        capped.contact_channel is not null as is_capped_by_own,
        capped.days,
        capped.hours,
        capped.most,
        lists.unchanged_since,
        coalesce(lists.items, 0) as items
    from customers
    cross join channels
    cross join settings
    left join contactability
        on customers.customer_id = contactability.customer_id
        and channels.contact_channel = contactability.contact_channel
    left join claims
        on customers.customer_id = claims.customer_id
        and channels.contact_channel = claims.contact_channel
    left join suppressions
        on customers.customer_id = suppressions.customer_id
        and channels.contact_channel = suppressions.contact_channel
    left join pauses on customers.customer_id = pauses.customer_id
    left join lists
        on customers.customer_id = lists.customer_id
        and channels.channel = lists.channel
    left join clocks on customers.customer_id = clocks.customer_id
    left join opened
        on clocks.clock = opened.clock
        and channels.contact_channel = opened.contact_channel
    left join controls on customers.customer_id = controls.customer_id
    left join capped
        on customers.customer_id = capped.customer_id
        and channels.channel = capped.channel

),

decided as (

    select
        *,
        case
            when is_contactable is distinct from true then coalesce(hindrance, 'no_consent')
            when not is_first then 'duplicate_address'
            when not is_open then 'no_send_window'
            when is_control then 'control'
            when is_capped then 'capped'
            when items < min_items then 'too_few_items'
            when unchanged_since is not null then 'nothing_new'
            else 'exported'
        end as status,
        case contact_channel
            when 'email' then 'by e-mail'
            when 'sms' then 'by text message'
            when 'push' then 'by push message'
            when 'post' then 'by post'
            when 'ads' then 'through advertising'
        end as by_channel,
        case contact_channel
            when 'email' then 'e-mail address'
            when 'sms' then 'phone number'
            when 'ads' then 'e-mail address or phone number'
        end as address
    from facts

),

final as (

    select
        run_date,
        customer_id,
        channel,
        contact_channel,
        status,
        case status
            when 'erased' then 'Asked to be erased'
            when 'suppressed' then 'Must not be contacted ' || by_channel || ': ' || case suppression
                when 'unsubscribe' then 'unsubscribed'
                when 'hard_bounce' then 'an earlier message bounced'
                when 'complaint' then 'complained about an earlier message'
                when 'do_not_contact' then 'asked not to be contacted'
            end
            when 'no_consent' then case
                when is_objected_by_another
                    then 'Another customer with the same ' || address || ' objected to marketing ' || by_channel
                else 'No current consent for marketing ' || by_channel
            end
            when 'consent_expired' then 'The consent for marketing ' || by_channel || ' expired on '
            || strftime(consent_valid_until, '%Y-%m-%d')
            when 'paused' then coalesce(
                'Asked for a pause until ' || strftime(paused_until, '%Y-%m-%d'),
                'Asked for a pause, and until when cannot be read'
            )
            when 'minor' then 'May be younger than ' || min_age
            when 'invalid_address' then 'No valid ' || address
            when 'duplicate_address' then 'Another customer with the same ' || address || ' is contacted instead'
            when 'no_send_window' then case
                when is_clock_unknown and contact_channel = 'sms'
                    then 'Neither time zone nor country is known, so no time is known to be outside the quiet hours'
                else 'No time of the campaign day is left outside the quiet hours'
            end
            when 'control' then 'In the control group, which is never contacted'
            when 'capped' then 'Would be message ' || (messages + 1) || ' '
            || case when is_capped_by_own then by_channel else 'over all contact channels' end
            || ' within ' || coalesce(days, hours) || case when days is not null then ' day' else ' hour' end
            || case coalesce(days, hours) when 1 then '' else 's' end || ', tonight''s others counted; at most ' || most
            || case most when 1 then ' is' else ' are' end || ' allowed'
            when 'nothing_new' then 'The list is the one last exported, in the night of '
            || strftime(unchanged_since, '%Y-%m-%d')
            when 'too_few_items' then 'Too few recommended products: ' || items || ' of at least ' || min_items
            when 'exported' then 'Exported with ' || items || case items when 1 then ' product' else ' products' end
        end as reason,
        items
    from decided

)

select * from final
