-- Interest in "renovation", in "bathroom" or in "renovation > bathroom > taps" is interest in "renovation > bathroom".
-- Interest in a tag is none: "modern" says nothing about another bathroom.
with choices as (

    select * from {{ ref('int_preferences__chosen') }} where choice = 'interested'

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

final as (

    select
        choices.customer_id,
        topics.category,
        max(choices.stated_at) as stated_at
    from choices
    inner join permissions on choices.customer_id = permissions.customer_id
    inner join topics on choices.topic = topics.topic
    group by choices.customer_id, topics.category

)

select * from final
