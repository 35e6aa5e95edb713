-- What a channel does not carry is null: nothing leaves that its files do not say.
with decisions as (

    select * from {{ ref('fct_decisions') }} where status = 'exported'

),

channels as (

    select * from {{ ref('stg_night__channels') }} where kind not in ('email_file', 'crm_file')

),

customers as (

    select * from {{ ref('dim_customers') }}

),

emails as (

    select customer_id, address from {{ ref('int_customers__addressed') }} where contact_channel = 'email' and is_valid

),

phones as (

    select customer_id, address from {{ ref('int_customers__addressed') }} where contact_channel = 'sms' and is_valid

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
        case when list_contains(channels.carries, 'email') then emails.address end as email,
        case when list_contains(channels.carries, 'phone') then phones.address end as phone,
        case when list_contains(channels.carries, 'first_name') then customers.first_name end as first_name,
        case when list_contains(channels.carries, 'last_name') then customers.last_name end as last_name,
        customers.language,
        case when list_contains(channels.carries, 'country') then customers.country end as country,
        case when list_contains(channels.carries, 'timezone') then customers.timezone end as timezone,
        case when list_contains(channels.carries, 'choices_applied') then choices.choices_applied end
            as choices_applied,
        opened.send_not_before,
        opened.send_not_after,
        customers.may_personalise
    from decisions
    inner join channels on decisions.channel = channels.channel
    inner join customers on decisions.customer_id = customers.customer_id
    inner join clocks on decisions.customer_id = clocks.customer_id
    inner join opened
        on clocks.clock = opened.clock
        and decisions.contact_channel = opened.contact_channel
    left join emails on decisions.customer_id = emails.customer_id
    left join phones on decisions.customer_id = phones.customer_id
    left join choices
        on decisions.channel = choices.channel
        and decisions.customer_id = choices.customer_id

)

select * from final
