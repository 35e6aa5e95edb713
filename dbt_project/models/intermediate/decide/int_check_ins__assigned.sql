-- Who is asked tonight, and over which channel: one that reaches them tonight anyway, otherwise the first that may. Of
-- customers who share an address, one is asked.
with topics as (

    select customer_id from {{ ref('int_topics__asked') }} where rank = 1

),

channels as (

    select * from {{ ref('stg_night__channels') }} where asks

),

decisions as (

    select * from {{ ref('fct_decisions') }} where status in ('exported', 'too_few_items', 'nothing_new')

),

questioned as (

    select * from {{ ref('int_customers__questioned') }}

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

possible as (

    select
        decisions.customer_id,
        decisions.channel,
        decisions.contact_channel,
        channels.position
    from decisions
    inner join channels on decisions.channel = channels.channel
    inner join topics on decisions.customer_id = topics.customer_id
    left join questioned on decisions.customer_id = questioned.customer_id
    where questioned.customer_id is null
    qualify row_number() over (
        partition by decisions.customer_id
        order by case decisions.status when 'exported' then 1 else 2 end, channels.position
    ) = 1

),

at_addresses as (

    select
        possible.customer_id,
        row_number() over (
            partition by addresses.contact_channel, addresses.address
            order by possible.position, possible.customer_id
        ) as place
    from possible
    inner join addresses on possible.customer_id = addresses.customer_id

),

shared as (

    select distinct customer_id from at_addresses where place > 1

),

final as (

    select
        possible.customer_id,
        possible.channel,
        possible.contact_channel
    from possible
    left join shared on possible.customer_id = shared.customer_id
    where shared.customer_id is null

)

select * from final
