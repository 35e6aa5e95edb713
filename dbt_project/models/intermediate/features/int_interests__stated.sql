-- Interest in "renovation" or in "renovation > bathroom > taps" is interest in "renovation > bathroom".
with preferences as (

    select * from {{ ref('stg_shop__preferences') }} where choice = 'interested'

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

permissions as (

    select customer_id from {{ ref('int_customers__permitted') }} where may_personalise

),

categories as (

    select distinct
        category,
        lower(category) || ' >' as path
    from {{ ref('int_products__classed') }}
    where category is not null

),

stated as (

    select
        ids.customer_id,
        lower(regexp_replace(trim(preferences.topic), '\s*>\s*', ' > ', 'g')) || ' >' as path,
        max(preferences.occurred_at) as stated_at
    from preferences
    inner join ids on preferences.customer_id = ids.id
    inner join permissions on ids.customer_id = permissions.customer_id
    group by all

),

final as (

    select
        stated.customer_id,
        categories.category,
        max(stated.stated_at) as stated_at
    from stated
    inner join categories on starts_with(stated.path, categories.path) or starts_with(categories.path, stated.path)
    group by stated.customer_id, categories.category

)

select * from final
