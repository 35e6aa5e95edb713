-- What a person has had. A message counts for the customer it went to and for everybody with the address it went to.
with messages as (

    select * from {{ ref('int_messages__remembered') }}

),

windows as (

    select * from {{ ref('int_caps__windowed') }}

),

clocks as (

    select * from {{ ref('int_customers__clocked') }}

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

-- counted once per address and clock, so that an address shared by thousands costs no more than one of two
shared as (

    select distinct
        addresses.contact_channel,
        addresses.address,
        clocks.clock
    from addresses
    inner join clocks on addresses.customer_id = clocks.customer_id

),

at_addresses as (

    select
        shared.contact_channel,
        shared.address,
        shared.clock,
        windows.cap,
        count(*) as messages
    from messages
    inner join shared
        on messages.contact_channel = shared.contact_channel
        and messages.address = shared.address
    inner join windows
        on shared.clock = windows.clock
        and coalesce(windows.contact_channel, messages.contact_channel) = messages.contact_channel
        and (messages.sent_at >= windows.since_at or messages.campaign_day >= windows.since_day)
    group by shared.contact_channel, shared.address, shared.clock, windows.cap

),

elsewhere as (

    select
        messages.customer_id,
        windows.cap,
        count(*) as messages
    from messages
    inner join clocks on messages.customer_id = clocks.customer_id
    inner join windows
        on clocks.clock = windows.clock
        and coalesce(windows.contact_channel, messages.contact_channel) = messages.contact_channel
        and (messages.sent_at >= windows.since_at or messages.campaign_day >= windows.since_day)
    left join addresses
        on messages.customer_id = addresses.customer_id
        and messages.contact_channel = addresses.contact_channel
    where messages.address is distinct from addresses.address or messages.address is null
    group by messages.customer_id, windows.cap

),

counts as (

    select
        addresses.customer_id,
        at_addresses.cap,
        at_addresses.messages
    from addresses
    inner join clocks on addresses.customer_id = clocks.customer_id
    inner join at_addresses
        on addresses.contact_channel = at_addresses.contact_channel
        and addresses.address = at_addresses.address
        and clocks.clock = at_addresses.clock
    union all
    select customer_id, cap, messages from elsewhere

),

final as (

    select
        customer_id,
        cap,
        cast(sum(messages) as bigint) as messages
    from counts
    group by customer_id, cap

)

select * from final
