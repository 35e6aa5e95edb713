-- One person often has several customer records. What one of them says against an address holds for the address.
with addresses as (

    select * from {{ ref('int_customers__matched') }}

),

refusals as (

    select customer_id, contact_channel
    from {{ ref('int_consents__current') }}
    where purpose = 'marketing' and status in ('withdrawn', 'denied')

),

suppressions as (

    select customer_id, contact_channel from {{ ref('int_suppressions__matched') }}

),

objections as (

    select customer_id, contact_channel from refusals
    union
    select customer_id, contact_channel from suppressions

),

final as (

    select distinct
        addresses.contact_channel,
        addresses.address_kind,
        addresses.address
    from addresses
    inner join objections
        on addresses.customer_id = objections.customer_id
        and addresses.contact_channel = objections.contact_channel

)

select * from final
