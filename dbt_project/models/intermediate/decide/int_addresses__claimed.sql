-- Several customers may share an address, however each spells it; one of them is written to.
with contactability as (

    select * from {{ ref('customer_contactability') }} where is_contactable

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

customers as (

    select customer_id, updated_at from {{ ref('dim_customers') }}

),

final as (

    select
        addresses.customer_id,
        addresses.contact_channel,
        addresses.address,
        row_number() over (
            partition by addresses.contact_channel, {{ mailbox('addresses.address') }}
            order by customers.updated_at desc nulls last, addresses.customer_id
        ) = 1 as is_first
    from addresses
    inner join contactability
        on addresses.customer_id = contactability.customer_id
        and addresses.contact_channel = contactability.contact_channel
    inner join customers on addresses.customer_id = customers.customer_id

)

select * from final
