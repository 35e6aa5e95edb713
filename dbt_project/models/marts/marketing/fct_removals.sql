-- Whoever the last published file named and tonight's does not, or does under another address.
with past_recipients as (

    select * from {{ ref('int_recipients__named') }}

),

channels as (

    select * from {{ ref('stg_night__channels') }}

),

settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

decisions as (

    select * from {{ ref('fct_decisions') }}

),

addresses as (

    select
        customer_id,
        address,
        case contact_channel when 'email' then 'email' when 'sms' then 'phone' end as address_kind
    from {{ ref('int_customers__addressed') }}
    where is_valid

),

matched as (

    select
        settings.run_date,
        past_recipients.customer_id,
        past_recipients.channel,
        channels.contact_channel,
        past_recipients.address,
        past_recipients.last_named_on as left_since,
        coalesce(decisions.status, 'unknown_customer') as status,
        coalesce(past_recipients.address <> addresses.address, false) as is_address_changed
    from past_recipients
    inner join channels on past_recipients.channel = channels.channel
    cross join settings
    left join decisions
        on past_recipients.channel = decisions.channel
        and past_recipients.customer_id = decisions.customer_id
    left join addresses
        on past_recipients.customer_id = addresses.customer_id
        and channels.address_kind = addresses.address_kind

),

final as (

    select
        run_date,
        customer_id,
        channel,
        contact_channel,
        address,
        left_since,
        case status when 'exported' then 'address_changed' else status end as reason
    from matched
    where status <> 'exported' or is_address_changed

)

select * from final
