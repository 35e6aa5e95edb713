-- By what a contact channel finds a customer. A message goes to the one address of its channel; an advertising platform
-- matches people by any address it is given. Every spelling of a mailbox is one address.
with addresses as (

    select
        customer_id,
        contact_channel,
        case contact_channel when 'sms' then 'phone' else 'email' end as address_kind,
        {{ mailbox('address') }} as address,
        is_valid
    from {{ ref('int_customers__addressed') }}

),

final as (

    select * from addresses
    union all
    select customer_id, 'ads', address_kind, address, is_valid from addresses

)

select * from final
