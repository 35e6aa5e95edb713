-- Whom the last published files named. What came after the last published night may have left all the same.
with past_recipients as (

    select * from {{ ref('stg_night__past_recipients') }} where campaign = 'recommendations'

),

channels as (

    select
        channel,
        kind
    from {{ ref('stg_night__channels') }}

),

last_published as (

    select
        channel,
        max(run_date) as run_date
    from {{ ref('stg_night__past_nights') }}
    where is_published
    group by channel

),

named as (

    select
        past_recipients.channel,
        past_recipients.customer_id,
        past_recipients.run_date,
        case channels.kind when 'email_file' then past_recipients.address end as address
    from past_recipients
    inner join channels on past_recipients.channel = channels.channel
    left join last_published on past_recipients.channel = last_published.channel
    where coalesce(past_recipients.run_date >= last_published.run_date, true)

),

final as (

    select
        channel,
        customer_id,
        address,
        max(run_date) as last_named_on
    from named
    group by channel, customer_id, address

)

select * from final
