-- Whoever saw it said it in one direction; a link holds in both.
with identities as (

    select * from {{ ref('stg_shop__identities') }}

),

web_events as (

    select * from {{ ref('stg_shop__web_events') }}

),

order_lines as (

    select * from {{ ref('stg_shop__order_lines') }}

),

sightings as (

    select visitor_id, customer_id, seen_at from identities
    union all
    select visitor_id, customer_id, occurred_at from web_events
    union all
    select visitor_id, customer_id, ordered_at from order_lines

),

links as (

    select
        visitor_id,
        customer_id,
        max(seen_at) as last_seen_at
    from sightings
    where visitor_id is not null
        and customer_id is not null
        and visitor_id <> customer_id
    group by visitor_id, customer_id

),

both_ways as (

    select visitor_id as from_id, customer_id as to_id, last_seen_at from links
    union all
    select customer_id, visitor_id, last_seen_at from links

),

final as (

    select
        from_id,
        to_id,
        max(last_seen_at) as last_seen_at
    from both_ways
    group by from_id, to_id

)

select * from final
