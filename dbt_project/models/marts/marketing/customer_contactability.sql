-- Unknown means no: only an explicit consent that still holds, with nothing against it, makes a customer contactable.
with customers as (

    select customer_id, is_minor from {{ ref('dim_customers') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

consents as (

    select * from {{ ref('int_consents__current') }} where purpose = 'marketing'

),

suppressions as (

    select * from {{ ref('int_suppressions__matched') }}

),

objected as (

    select * from {{ ref('int_addresses__objected') }}

),

addresses as (

    select
        matched.customer_id,
        matched.contact_channel,
        bool_or(matched.is_valid) as is_valid,
        bool_or(objected.address is not null) as is_objected_to
    from {{ ref('int_customers__matched') }} as matched
    left join objected
        on matched.contact_channel = objected.contact_channel
        and matched.address_kind = objected.address_kind
        and matched.address = objected.address
    group by matched.customer_id, matched.contact_channel

),

pauses as (

    select * from {{ ref('int_preferences__paused') }}

),

facts as (

    select
        customers.customer_id,
        contact_channels.contact_channel,
        coalesce(suppressions.is_erased, false) as is_erased,
        suppressions.customer_id is not null as is_suppressed,
        coalesce(consents.status = 'granted', false) as is_granted,
        consents.valid_until is null or consents.valid_until > settings.night_end as is_unexpired,
        coalesce(addresses.is_objected_to, false) as is_objected_to,
        pauses.customer_id is not null
        and coalesce(pauses.paused_until > settings.run_date, pauses.paused_until is null) as is_paused,
        customers.is_minor,
        contact_channels.contact_channel in ('push', 'post') or coalesce(addresses.is_valid, false) as is_reachable,
        case when consents.status = 'granted' then consents.valid_until end as consent_valid_until
    from customers
    cross join {{ contact_channels() }}
    cross join settings
    left join consents
        on customers.customer_id = consents.customer_id
        and contact_channels.contact_channel = consents.contact_channel
    left join suppressions
        on customers.customer_id = suppressions.customer_id
        and contact_channels.contact_channel = suppressions.contact_channel
    left join addresses
        on customers.customer_id = addresses.customer_id
        and contact_channels.contact_channel = addresses.contact_channel
    left join pauses on customers.customer_id = pauses.customer_id

),

final as (

    select
        customer_id,
        contact_channel,
        case
            when is_erased then 'erased'
            when is_suppressed then 'suppressed'
            when not is_granted or is_objected_to then 'no_consent'
            when not is_unexpired then 'consent_expired'
            when is_paused then 'paused'
            when is_minor then 'minor'
            when not is_reachable then 'invalid_address'
        end as reason,
        coalesce(
            not is_suppressed
            and is_granted
            and not is_objected_to
            and is_unexpired
            and not is_paused
            and not is_minor
            and is_reachable,
            false
        ) as is_contactable,
        not is_suppressed and is_granted and is_objected_to as is_objected_by_another,
        consent_valid_until
    from facts

)

select * from final
