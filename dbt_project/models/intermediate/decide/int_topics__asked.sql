-- What a customer could be asked about, most important first: what they said themselves, then what seems to be over, then
-- what there was too much of. Behaviour counts only where it may be used. A topic that any sensitive product belongs to is
-- never asked about, nor one that the customer does not want to hear of.
with settings as (

    select * from {{ ref('stg_night__settings') }}

),

check_in as (

    select * from {{ ref('stg_night__check_in') }}

),

choices as (

    select * from {{ ref('customer_topics') }}

),

personalised as (

    select customer_id from {{ ref('dim_customers') }} where may_personalise and not is_minor

),

sensitive_topics as (

    select topic from {{ ref('int_products__classified') }} group by topic having bool_or(is_sensitive)

),

aged as (

    select
        choices.customer_id,
        choices.topic,
        'aged' as why,
        choices.stated_at
    from choices
    cross join settings
    cross join check_in
    where choices.choice = 'interested'
        and choices.products > 0
        and case
            when choices.is_expired
                then choices.stated_at > settings.night_end
                - to_days(cast(settings.interest_expire_days as integer) + check_in.lately_days)
            else choices.strength < check_in.faded_below
        end

),

finished as (

    select
        needs.customer_id,
        {{ normalised_topic('needs.category') }} as topic,
        'finished' as why,
        max(needs.finished_on) as finished_on
    from {{ ref('customer_needs') }} as needs
    inner join personalised on needs.customer_id = personalised.customer_id
    cross join settings
    cross join check_in
    where needs.state = 'finished' and needs.finished_on > settings.run_date - check_in.lately_days
    group by needs.customer_id, topic

),

narrow as (

    select
        concentration.customer_id,
        {{ normalised_topic('concentration.category') }} as topic,
        'narrow' as why,
        max(concentration.share) as share
    from {{ ref('customer_concentration') }} as concentration
    inner join personalised on concentration.customer_id = personalised.customer_id
    where concentration.is_narrow
    group by concentration.customer_id, topic

),

raised as (

    select * from aged
    union all by name
    select * from finished
    union all by name
    select * from narrow

),

wanted as (

    select
        raised.*,
        case raised.why when 'aged' then 1 when 'finished' then 2 when 'narrow' then 3 end as place
    from raised
    left join choices
        on raised.customer_id = choices.customer_id
        and raised.topic = choices.topic
        and choices.choice in ('not_interested', 'less_like_this')
    left join sensitive_topics on raised.topic = sensitive_topics.topic
    where raised.topic is not null and choices.topic is null and sensitive_topics.topic is null

),

once as (

    select * from wanted
    qualify row_number() over (partition by customer_id, topic order by place) = 1

),

numbered as (

    select
        once.*,
        cast(
            row_number() over (
                partition by customer_id
                order by place, stated_at, finished_on desc nulls last, share desc nulls last, topic
            ) as integer
        ) as rank
    from once

),

final as (

    select
        numbered.customer_id,
        numbered.rank,
        numbered.topic,
        numbered.why,
        numbered.stated_at
    from numbered
    cross join check_in
    where numbered.rank <= check_in.topics

)

select * from final
