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

addresses as (

    select * from {{ ref('int_customers__addressed') }} where contact_channel = 'email' and is_valid

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
        case channels.kind when 'email_file' then addresses.address end as email,
        case channels.kind when 'email_file' then customers.first_name end as first_name,
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
    left join addresses on check_ins.customer_id = addresses.customer_id

)

select * from final
