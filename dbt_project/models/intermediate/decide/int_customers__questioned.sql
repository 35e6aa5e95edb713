-- Who was asked lately: the customer, or anybody at one of their addresses.
with asked as (

    select
        past_recipients.customer_id,
        past_recipients.address
    from {{ ref('stg_night__past_recipients') }} as past_recipients
    cross join {{ ref('stg_night__settings') }} as settings
    cross join {{ ref('stg_night__check_in') }} as check_in
    where past_recipients.campaign = 'check_in'
        and past_recipients.run_date > settings.run_date - check_in.every_days

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

asked_addresses as (

    select address from asked where address is not null
    union
    select addresses.address
    from addresses
    inner join asked on addresses.customer_id = asked.customer_id

),

final as (

    select customer_id from asked
    union
    select addresses.customer_id
    from addresses
    inner join asked_addresses on addresses.address = asked_addresses.address

)

select * from final
