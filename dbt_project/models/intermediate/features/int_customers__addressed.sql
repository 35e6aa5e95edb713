with customers as (

    select * from {{ ref('stg_shop__customers') }}

),

addresses as (

    select customer_id, 'email' as contact_channel, {{ normalised_email('email') }} as address from customers
    union all
    select customer_id, 'sms', {{ normalised_phone('phone') }} from customers

),

final as (

    select
        customer_id,
        contact_channel,
        address,
        case contact_channel
            when 'email' then {{ is_email('address') }}
            when 'sms' then {{ is_phone('address') }}
        end as is_valid
    from addresses
    where address is not null

)

select * from final
