with assigned as (

    select * from {{ ref('int_check_ins__assigned') }}

),

topics as (

    select * from {{ ref('int_topics__asked') }}

),

settings as (

    select run_date from {{ ref('stg_night__settings') }}

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
        topics.reason
    from assigned
    inner join topics on assigned.customer_id = topics.customer_id
    cross join settings

)

select * from final
