with decisions as (

    select * from {{ ref('fct_decisions') }} where status = 'exported'

),

channels as (

    select channel from {{ ref('stg_night__channels') }} where kind = 'crm_file'

),

customers as (

    select * from {{ ref('dim_customers') }}

),

clocks as (

    select * from {{ ref('int_customers__clocked') }}

),

opened as (

    select * from {{ ref('int_clocks__opened') }}

),

final as (

    select
        decisions.channel,
        decisions.customer_id,
        customers.language,
        customers.country,
        opened.send_not_before,
        opened.send_not_after
    from decisions
    inner join channels on decisions.channel = channels.channel
    inner join customers on decisions.customer_id = customers.customer_id
    inner join clocks on decisions.customer_id = clocks.customer_id
    inner join opened
        on clocks.clock = opened.clock
        and decisions.contact_channel = opened.contact_channel

)

select * from final
