-- The newest choice about a topic counts, whichever of a customer's ids it was made under; of choices made at the same
-- moment the strictest does. What is said about a topic of sensitive products alone is not kept: such products are never
-- recommended, and the topic itself tells what nobody should be reminded of.
with preferences as (

    select
        customer_id as id,
        {{ normalised_topic('topic') }} as topic,
        choice,
        occurred_at
    from {{ ref('stg_shop__preferences') }}
    where choice in ('interested', 'not_interested', 'less_like_this')

),

ids as (

    select * from {{ ref('int_ids__resolved') }}

),

permissions as (

    select customer_id from {{ ref('int_customers__permitted') }} where not is_minor

),

sensitive_topics as (

    select topic from {{ ref('int_products__classified') }} group by topic having bool_and(is_sensitive)

),

final as (

    select
        ids.customer_id,
        preferences.topic,
        preferences.choice,
        preferences.occurred_at as stated_at
    from preferences
    inner join ids on preferences.id = ids.id
    inner join permissions on ids.customer_id = permissions.customer_id
    where preferences.topic is not null
        and not exists (select 1 from sensitive_topics where sensitive_topics.topic = preferences.topic)
    qualify row_number() over (
        partition by ids.customer_id, preferences.topic
        order by
            preferences.occurred_at desc,
            case preferences.choice when 'not_interested' then 1 when 'less_like_this' then 2 when 'interested' then 3 end
    ) = 1

)

select * from final
