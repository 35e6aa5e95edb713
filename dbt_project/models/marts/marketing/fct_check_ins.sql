with assigned as (

    select * from {{ ref('int_check_ins__assigned') }}

),

topics as (

    select * from {{ ref('int_topics__asked') }}

),

settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

spoken as (

    select
        assigned.customer_id,
        {{ question_language(['coalesce(channels.language, customers.language)', 'check_in.language']) }} as language
    from assigned
    inner join {{ ref('stg_night__channels') }} as channels on assigned.channel = channels.channel
    inner join {{ ref('dim_customers') }} as customers on assigned.customer_id = customers.customer_id
    cross join {{ ref('stg_night__check_in') }} as check_in

),

final as (

    select
        settings.run_date,
        assigned.customer_id,
        assigned.channel,
        assigned.contact_channel,
        topics.rank,
        topics.topic,
        topics.why,
        {{ check_in_question('topics.why', 'topics.topic', 'topics.stated_at', 'spoken.language') }} as reason
    from assigned
    inner join spoken on assigned.customer_id = spoken.customer_id
    inner join topics on assigned.customer_id = topics.customer_id
    cross join settings

)

select * from final
