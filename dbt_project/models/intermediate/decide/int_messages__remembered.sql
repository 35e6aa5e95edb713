-- Messages that may count towards a cap: what any tool sent, and what our own files of earlier nights planned.
with windows as (

    select
        min(since_at) as since_at,
        min(since_day) as since_day
    from {{ ref('int_caps__windowed') }}

),

contacts as (

    select * from {{ ref('stg_shop__contacts') }}

),

own_campaigns as (

    select * from {{ ref('stg_night__own_campaigns') }}

),

past_recipients as (

    select * from {{ ref('stg_night__past_recipients') }}

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

sent as (

    select
        contacts.customer_id as id,
        contacts.channel as contact_channel,
        cast(null as varchar) as exported_address,
        contacts.sent_at,
        cast(null as date) as campaign_day
    from contacts
    cross join windows
    where contacts.sent_at >= windows.since_at
        and not exists (
            select 1
            from own_campaigns
            where contacts.campaign = own_campaigns.campaign
                or (
                    suffix(own_campaigns.campaign, '*')
                    and starts_with(contacts.campaign, substr(own_campaigns.campaign, 1, length(own_campaigns.campaign) - 1))
                )
        )

),

entries as (

    select
        past_recipients.customer_id,
        past_recipients.contact_channel,
        past_recipients.address,
        past_recipients.channel,
        past_recipients.run_date
    from past_recipients
    cross join windows
    where past_recipients.run_date + 1 >= windows.since_day
    -- what else a night asks of somebody who is exported goes into the same message
    qualify past_recipients.campaign = 'recommendations'
        or not bool_or(past_recipients.campaign = 'recommendations') over (
            partition by past_recipients.run_date, past_recipients.contact_channel, past_recipients.customer_id
        )

),

planned as (

    select
        customer_id as id,
        contact_channel,
        max(address) as exported_address,
        cast(null as timestamp) as sent_at,
        run_date + 1 as campaign_day
    from entries
    group by customer_id, contact_channel, channel, run_date

),

messages as (

    select * from sent
    union all
    select * from planned

),

final as (

    select
        ids.customer_id,
        messages.contact_channel,
        coalesce(messages.exported_address, addresses.address) as address,
        messages.sent_at,
        messages.campaign_day
    from messages
    left join ids on messages.id = ids.id
    left join addresses
        on ids.customer_id = addresses.customer_id
        and messages.contact_channel = addresses.contact_channel

)

select * from final
