-- A product belongs to every level of its category path, each as a path from the top and by its own name, and to its tags.
with products as (

    select
        product_id,
        sensitive,
        is_eligible,
        {{ normalised_topic('category') }} as path,
        tags
    from {{ ref('dim_products') }}

),

levels as (

    select
        *,
        string_split(path, ' > ') as names,
        unnest(range(1, len(string_split(path, ' > ')) + 1)) as level
    from products

),

tags as (

    select
        product_id,
        sensitive,
        is_eligible,
        unnest(tags) as tag
    from products

),

topics as (

    select product_id, sensitive, is_eligible, array_to_string(names[1:level], ' > ') as topic from levels
    union all
    select product_id, sensitive, is_eligible, names[level] from levels
    union all
    select product_id, sensitive, is_eligible, {{ normalised_topic('tag') }} from tags

),

final as (

    select distinct
        product_id,
        topic,
        sensitive as is_sensitive,
        is_eligible
    from topics
    where topic is not null

)

select * from final
