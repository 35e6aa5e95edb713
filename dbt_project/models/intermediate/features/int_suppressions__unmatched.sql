-- A list that was mapped wrongly looks like this: nearly all of it leads to nobody.
with suppressions as (

    select
        customer_id,
        {{ mailbox(normalised_email('email')) }} as mailbox,
        {{ normalised_phone('phone') }} as phone,
        channel,
        reason,
        occurred_at
    from {{ ref('stg_shop__suppressions') }}

),

ids as (

    select id from {{ ref('int_ids__resolved') }}

),

addresses as (

    select contact_channel, address, {{ mailbox('address') }} as mailbox
    from {{ ref('int_customers__addressed') }}

),

final as (

    select
        suppressions.channel,
        suppressions.reason,
        suppressions.occurred_at
    from suppressions
    where not exists (select 1 from ids where ids.id = suppressions.customer_id)
        and not exists (
            select 1 from addresses
            where addresses.contact_channel = 'email' and addresses.mailbox = suppressions.mailbox
        )
        and not exists (
            select 1 from addresses
            where addresses.contact_channel = 'sms' and addresses.address = suppressions.phone
        )

)

select * from final
