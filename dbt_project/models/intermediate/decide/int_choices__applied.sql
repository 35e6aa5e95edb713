-- What a recipient is told about their own choices: every no that filters or demotes eligible products, and every interest
-- that put a product where it stands in this channel's slots.
with channels as (

    select channel, slots from {{ ref('stg_night__channels') }}

),

refusals as (

    select
        channels.channel,
        rules.customer_id,
        rules.because as choice,
        rules.topic
    from {{ ref('customer_topic_rules') }} as rules
    cross join channels
    where rules.because in ('not_interested', 'less_like_this')

),

interests as (

    select distinct
        channels.channel,
        recommendations.customer_id,
        recommendations.because as choice,
        recommendations.topic
    from {{ ref('stg_night__recommendations') }} as recommendations
    inner join channels on recommendations.rank <= channels.slots
    where recommendations.because = 'interested'

),

choices as (

    select * from refusals
    union all
    select * from interests

),

per_choice as (

    select
        channel,
        customer_id,
        choice,
        string_agg(topic, ', ' order by topic) as topics
    from choices
    group by channel, customer_id, choice

),

worded as (

    select
        *,
        case choice when 'not_interested' then 1 when 'less_like_this' then 2 when 'interested' then 3 end as position,
        case choice
            when 'not_interested' then 'not interested'
            when 'less_like_this' then 'less like this'
            when 'interested' then 'interested'
        end as words
    from per_choice

),

final as (

    select
        channel,
        customer_id,
        string_agg(words || ': ' || topics, '; ' order by position) as choices_applied
    from worded
    group by channel, customer_id

)

select * from final
