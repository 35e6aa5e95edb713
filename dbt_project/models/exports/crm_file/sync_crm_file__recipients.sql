with decisions as (

    select * from {{ ref('fct_decisions') }} where status = 'exported'

),

channels as (

    select channel from {{ ref('stg_night__channels') }} where kind = 'crm_file'

),

customers as (

    select * from {{ ref('dim_customers') }}

),

choices as (

    select * from {{ ref('int_choices__applied') }}

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
        choices.choices_applied,
        opened.send_not_before,
        opened.send_not_after
    from decisions
    inner join channels on decisions.channel = channels.channel
    inner join customers on decisions.customer_id = customers.customer_id
    inner join clocks on decisions.customer_id = clocks.customer_id
    inner join opened
        on clocks.clock = opened.clock
        and decisions.contact_channel = opened.contact_channel
    left join choices
        on decisions.channel = choices.channel
        and decisions.customer_id = choices.customer_id

)

select * from final
