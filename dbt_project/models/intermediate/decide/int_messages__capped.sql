-- Tonight's messages beyond a cap. First the caps of the message's own contact channel, in the order of the shop file's
-- audiences; of what these leave, the caps across all contact channels, in the same order.
with messages as (

    select * from {{ ref('int_messages__wanted') }}

),

caps as (

    select * from {{ ref('stg_night__caps') }}

),

contacted as (

    select * from {{ ref('int_customers__contacted') }}

),

addresses as (

    select * from {{ ref('int_customers__addressed') }}

),

numbered as (

    select
        *,
        coalesce(sum(cast(is_wanted as bigint)) over earlier, 0) as tonight
    from messages
    window earlier as (
        partition by customer_id, contact_channel
        order by position rows between unbounded preceding and 1 preceding
    )

),

beyond_own as (

    select
        numbered.customer_id,
        numbered.channel,
        caps.cap,
        coalesce(contacted.messages, 0) + numbered.tonight as messages
    from numbered
    inner join caps on numbered.contact_channel = caps.contact_channel
    left join contacted
        on numbered.customer_id = contacted.customer_id
        and caps.cap = contacted.cap
    where coalesce(contacted.messages, 0) + numbered.tonight >= caps.most
    qualify row_number() over (partition by numbered.customer_id, numbered.channel order by caps.cap) = 1

),

remaining as (

    select numbered.*
    from numbered
    left join beyond_own
        on numbered.customer_id = beyond_own.customer_id
        and numbered.channel = beyond_own.channel
    where beyond_own.cap is null

),

-- messages of tonight to the person by another record: over another contact channel, where that one goes first
to_others as (

    select
        remaining.customer_id,
        remaining.channel,
        count(*) as messages
    from remaining
    inner join addresses on remaining.customer_id = addresses.customer_id
    inner join remaining as others
        on addresses.contact_channel = others.contact_channel
        and addresses.address = others.address
        and others.is_wanted
        and remaining.customer_id <> others.customer_id
        and remaining.position > others.position
    group by remaining.customer_id, remaining.channel

),

numbered_across as (

    select
        remaining.customer_id,
        remaining.channel,
        coalesce(sum(cast(remaining.is_wanted as bigint)) over earlier, 0) + coalesce(to_others.messages, 0) as tonight
    from remaining
    left join to_others
        on remaining.customer_id = to_others.customer_id
        and remaining.channel = to_others.channel
    window earlier as (
        partition by remaining.customer_id
        order by remaining.position rows between unbounded preceding and 1 preceding
    )

),

beyond_all as (

    select
        numbered_across.customer_id,
        numbered_across.channel,
        caps.cap,
        coalesce(contacted.messages, 0) + numbered_across.tonight as messages
    from numbered_across
    inner join caps on caps.contact_channel is null
    left join contacted
        on numbered_across.customer_id = contacted.customer_id
        and caps.cap = contacted.cap
    where coalesce(contacted.messages, 0) + numbered_across.tonight >= caps.most
    qualify row_number() over (partition by numbered_across.customer_id, numbered_across.channel order by caps.cap) = 1

),

final as (

    select customer_id, channel, cap, cast(messages as bigint) as messages from beyond_own
    union all
    select customer_id, channel, cap, cast(messages as bigint) from beyond_all

)

select * from final
