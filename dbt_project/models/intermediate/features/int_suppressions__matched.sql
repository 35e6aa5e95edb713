-- A suppression holds for whoever it names: by customer, by e-mail address or by phone number, whichever is given; and
-- so does one that is remembered from an earlier night, whether or not it is still delivered.
with suppressions as (

    select
        customer_id,
        {{ normalised_email('email') }} as email,
        {{ normalised_phone('phone') }} as phone,
        -- whoever was erased is contacted by nothing any more
        case reason when 'erased' then 'all' else channel end as channel,
        reason,
        occurred_at
    from {{ ref('stg_shop__suppressions') }}

),

remembered as (

    select * from {{ ref('stg_night__remembered_suppressions') }}

),

customers as (

    select customer_id from {{ ref('stg_shop__customers') }}

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

matches as (

    select customers.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join customers on suppressions.customer_id = customers.customer_id

    union all

    select addresses.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join addresses on suppressions.email = addresses.address and addresses.contact_channel = 'email'

    union all

    select addresses.customer_id, suppressions.channel, suppressions.reason, suppressions.occurred_at
    from suppressions
    inner join addresses on suppressions.phone = addresses.address and addresses.contact_channel = 'sms'

    union all

    select customers.customer_id, remembered.channel, remembered.reason, remembered.occurred_at
    from remembered
    inner join customers on remembered.customer_id = customers.customer_id

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
