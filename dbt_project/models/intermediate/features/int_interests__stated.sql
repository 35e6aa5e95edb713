-- Interest in "renovation", in "bathroom" or in "renovation > bathroom > taps" is interest in "renovation > bathroom".
-- Interest in a tag is none: "modern" says nothing about another bathroom.
with preferences as (

    select * from {{ ref('stg_shop__preferences') }} where choice = 'interested'

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

permissions as (

    select customer_id from {{ ref('int_customers__permitted') }} where may_personalise

),

paths as (

    select distinct
        category,
        string_split(path, ' > ') as names
    from {{ ref('int_products__classed') }}
    where category is not null

),

levels as (

    select
        category,
        names,
        unnest(range(1, len(names) + 1)) as level
    from paths

),

topics as (

    select category, array_to_string(names[1:level], ' > ') as topic from levels
    union
    select category, names[level] from levels

),

stated as (

    select
        ids.customer_id,
        {{ normalised_topic('preferences.topic') }} as topic,
        max(preferences.occurred_at) as stated_at
    from preferences
    inner join ids on preferences.customer_id = ids.id
    inner join permissions on ids.customer_id = permissions.customer_id
    group by all

),

final as (

    select
        stated.customer_id,
        topics.category,
        max(stated.stated_at) as stated_at
    from stated
    inner join topics on stated.topic = topics.topic
    group by stated.customer_id, topics.category

)

select * from final
