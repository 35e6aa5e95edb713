with decisions as (

    select * from {{ ref('fct_decisions') }} where status = 'exported'

),

channels as (

    select channel from {{ ref('stg_night__channels') }} where kind = 'crm_file'

),

customers as (

    select * from {{ ref('dim_customers') }}

),

final as (

    select
        decisions.channel,
        decisions.customer_id,
        customers.language,
        customers.country
    from decisions
    inner join channels on decisions.channel = channels.channel
    inner join customers on decisions.customer_id = customers.customer_id

)

select * from final
