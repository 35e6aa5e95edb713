-- A search outwards from the known customers, one link further each step. The first step is a plain join, because
-- nearly every visitor is found there; only links between two unknown ids, which are few, are searched step by step.
-- It ends after 100 links: each step reads all of them once, and so long a chain is a fault in the data, not a person.
with recursive customers as (

    select customer_id from {{ ref('stg_shop__customers') }}

),

links as (

    select * from {{ ref('int_identities__linked') }}

),

links_of_unknown as (

    select
        links.from_id as visitor_id,
        links.to_id,
        links.last_seen_at,
        customers.customer_id
    from links
    left join customers on links.to_id = customers.customer_id
    where not exists (select 1 from customers as known where known.customer_id = links.from_id)

),

next_to_customer as (

    select
        visitor_id,
        customer_id
    from links_of_unknown
    where customer_id is not null
    qualify row_number() over (partition by visitor_id order by last_seen_at desc, customer_id) = 1

),

links_between_unknown as (

    select
        links_of_unknown.visitor_id,
        links_of_unknown.to_id,
        links_of_unknown.last_seen_at
    from links_of_unknown
    where links_of_unknown.customer_id is null
        and not exists (
            select 1 from next_to_customer where next_to_customer.visitor_id = links_of_unknown.visitor_id
        )

),

searched (visitor_id, customer_id, links) using key (visitor_id) as (

    select
        visitor_id,
        customer_id,
        cast(1 as bigint)
    from next_to_customer
    where visitor_id in (select links_between_unknown.to_id from links_between_unknown)

    union

    (
        select
            links_between_unknown.visitor_id,
            searched.customer_id,
            searched.links + 1
        from searched
        inner join links_between_unknown on searched.visitor_id = links_between_unknown.to_id
        where searched.links < 100 and not exists (
            select 1 from recurring.searched as before where before.visitor_id = links_between_unknown.visitor_id
        )
        qualify row_number() over (
            partition by links_between_unknown.visitor_id
            order by links_between_unknown.last_seen_at desc, searched.customer_id
        ) = 1
    )

),

final as (

    select visitor_id, customer_id, cast(1 as bigint) as links from next_to_customer
    union all
    select visitor_id, customer_id, links from searched where links > 1

)

select * from final
