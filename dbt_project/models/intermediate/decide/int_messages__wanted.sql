-- Tonight's messages before caps: customers whom nothing earlier in the order of statuses holds back, in the order in
-- which the shop file asks for them. Only a wanted one uses up a cap.
with contactability as (

    select * from {{ ref('customer_contactability') }} where is_contactable

),

channels as (

    select * from {{ ref('stg_night__channels') }}

),

claims as (

    select * from {{ ref('int_addresses__claimed') }}

),

clocks as (

    select * from {{ ref('int_customers__clocked') }}

),

opened as (

    select * from {{ ref('int_clocks__opened') }} where is_open

),

controls as (

    select * from {{ ref('int_customers__controlled') }}

),

lists as (

    select * from {{ ref('int_lists__offered') }}

),

final as (

    select
        contactability.customer_id,
        channels.channel,
        channels.contact_channel,
        channels.position,
        case when claims.is_first then claims.address end as address,
        coalesce(lists.items, 0) >= channels.min_items and lists.unchanged_since is null as is_wanted
    from contactability
    inner join channels on contactability.contact_channel = channels.contact_channel
    inner join clocks on contactability.customer_id = clocks.customer_id
    inner join opened
        on clocks.clock = opened.clock
        and contactability.contact_channel = opened.contact_channel
    left join claims
        on contactability.customer_id = claims.customer_id
        and contactability.contact_channel = claims.contact_channel
    left join lists
        on contactability.customer_id = lists.customer_id
        and channels.channel = lists.channel
    where (contactability.contact_channel not in ('email', 'sms') or claims.is_first)
        and not exists (select 1 from controls where controls.customer_id = contactability.customer_id)

)

select * from final
