-- Whom the last delivered files named. What came after the last delivered night may have arrived all the same.
with past_recipients as (

    select * from {{ ref('stg_night__past_recipients') }} where campaign = 'recommendations'

),

channels as (

    select
        channel,
        address_kind
    from {{ ref('stg_night__channels') }}

),

last_delivered as (

    select
        channel,
        max(run_date) as run_date
    from {{ ref('stg_night__past_nights') }}
    where is_delivered
    group by channel

),

named as (

    select
        past_recipients.channel,
        past_recipients.customer_id,
        past_recipients.run_date,
        case when channels.address_kind in ('email', 'phone') then past_recipients.address end as address
    from past_recipients
    inner join channels on past_recipients.channel = channels.channel
    left join last_delivered on past_recipients.channel = last_delivered.channel
    where coalesce(past_recipients.run_date >= last_delivered.run_date, true)

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
