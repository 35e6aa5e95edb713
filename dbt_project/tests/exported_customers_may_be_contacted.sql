-- Asked once more, from the other end and without the decisions: whoever is exported has an explicit, unexpired consent
-- as the newest statement and no suppression. The gate asks a third time, of the finished files.
with recipients as (

    select channel, customer_id from {{ ref('sync_email_file__recipients') }}
    union all
    select channel, customer_id from {{ ref('sync_crm_file__recipients') }}
    union all
    select channel, customer_id from {{ ref('sync_tool__recipients') }}

),

allowed as (

    select
        recipients.channel,
        recipients.customer_id
    from recipients
    inner join {{ ref('stg_night__channels') }} as channels on recipients.channel = channels.channel
    inner join {{ ref('int_consents__current') }} as consents
        on recipients.customer_id = consents.customer_id
        and channels.contact_channel = consents.contact_channel
    cross join {{ ref('stg_night__settings') }} as settings
    where consents.purpose = 'marketing'
        and consents.status = 'granted'
        and coalesce(consents.valid_until > settings.night_end, consents.valid_until is null)
        and not exists (
            select 1
            from {{ ref('int_suppressions__matched') }} as suppressions
            where suppressions.customer_id = recipients.customer_id
                and suppressions.contact_channel = channels.contact_channel
        )

)

select channel, customer_id from recipients
except
select channel, customer_id from allowed
