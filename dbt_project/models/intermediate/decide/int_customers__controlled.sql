-- The control group. Who is in it depends on the shop and the customer's id and on nothing else, so it is for ever: the
-- first 32 bits of SHA-256 over shop, line feed and id, read as a number, are below that share of all such numbers.
with customers as (

    select customer_id from {{ ref('dim_customers') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

final as (

    select customers.customer_id
    from customers
    cross join settings
    where cast('0x' || substr(sha256(settings.shop || chr(10) || customers.customer_id), 1, 8) as bigint)
        < settings.control_share * 4294967296

)

select * from final
