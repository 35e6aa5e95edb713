-- A suppression holds for whoever it names: by customer, by e-mail address or by phone number, whichever is given; and
-- so does one that is remembered from an earlier night, whether or not it is still delivered. A customer is also named by
-- every id that leads to them.
with suppressions as (

    select
        customer_id,
        {{ mailbox(normalised_email('email')) }} as mailbox,
        {{ normalised_phone('phone') }} as phone,
        -- whoever was erased is contacted by nothing any more
        case reason when 'erased' then 'all' else channel end as channel,
        reason,
        occurred_at
    from {{ ref('stg_shop__suppressions') }}

    union all

    select customer_id, null, null, contact_channel, reason, occurred_at
    from {{ ref('int_engagements__suppressed') }}

),

remembered as (

    select
        customer_id,
        case reason when 'erased' then 'all' else channel end as channel,
        reason,
        occurred_at
    from {{ ref('stg_night__remembered_suppressions') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

addresses as (

    select customer_id, contact_channel, address, {{ mailbox('address') }} as mailbox
    from {{ ref('int_customers__addressed') }}

),

matches as (

    select ids.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join ids on suppressions.customer_id = ids.id

    union all

    select addresses.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join addresses on suppressions.mailbox = addresses.mailbox and addresses.contact_channel = 'email'

    union all

    select addresses.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join addresses on suppressions.phone = addresses.address and addresses.contact_channel = 'sms'

    union all

    select ids.customer_id, remembered.channel, remembered.reason, remembered.occurred_at
    from remembered
    inner join ids on remembered.customer_id = ids.id

),

final as (

    select
        matches.customer_id,
        contact_channels.contact_channel,
        matches.reason,
        bool_or(matches.channel = 'all') over (
            partition by matches.customer_id, contact_channels.contact_channel
        ) as is_for_every_channel,
        bool_or(matches.reason = 'erased') over (partition by matches.customer_id) as is_erased,
        matches.occurred_at
    from matches
    inner join {{ contact_channels() }} on matches.channel in ('all', contact_channels.contact_channel)
    qualify row_number() over (
        partition by matches.customer_id, contact_channels.contact_channel
        order by matches.occurred_at, matches.reason
    ) = 1

)

select * from final
