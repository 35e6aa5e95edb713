with check_ins as (

    select distinct
        channel,
        customer_id
    from {{ ref('fct_check_ins') }}

),

channels as (

    select * from {{ ref('stg_night__channels') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

emails as (

    select * from {{ ref('int_customers__addressed') }} where contact_channel = 'email' and is_valid

),

phones as (

    select * from {{ ref('int_customers__addressed') }} where contact_channel = 'sms' and is_valid

),

clocks as (

    select * from {{ ref('int_customers__clocked') }}

),

opened as (

    select * from {{ ref('int_clocks__opened') }}

),

final as (

    select
        check_ins.channel,
        check_ins.customer_id,
        case when list_contains(channels.carries, 'email') then emails.address end as email,
        case when list_contains(channels.carries, 'phone') then phones.address end as phone,
        case when list_contains(channels.carries, 'first_name') then customers.first_name end as first_name,
        customers.language,
        customers.country,
        opened.send_not_before,
        opened.send_not_after
    from check_ins
    inner join channels on check_ins.channel = channels.channel
    inner join customers on check_ins.customer_id = customers.customer_id
    inner join clocks on check_ins.customer_id = clocks.customer_id
    inner join opened
        on clocks.clock = opened.clock
        and channels.contact_channel = opened.contact_channel
    left join emails on check_ins.customer_id = emails.customer_id
    left join phones on check_ins.customer_id = phones.customer_id

)

select * from final
