-- The newest statement counts. Of statements made at the same moment the strictest does. A refusal under another id that
-- leads to a customer is theirs too; a consent under one is not: who is behind an id may be a mistake.
with consents as (

    select * from {{ ref('stg_shop__consents') }}

),

visitors as (

    select * from {{ ref('int_visitors__resolved') }}

),

statements as (

    select customer_id, channel, purpose, status, occurred_at, valid_until from consents

    union all

    select
        visitors.customer_id,
        consents.channel,
        consents.purpose,
        consents.status,
        consents.occurred_at,
        consents.valid_until
    from consents
    inner join visitors on consents.customer_id = visitors.visitor_id
    where consents.status <> 'granted'

),

final as (

    select
        customer_id,
        channel as contact_channel,
        purpose,
        status,
        occurred_at,
        valid_until
    from statements
    qualify row_number() over (
        partition by customer_id, channel, purpose
        order by
            occurred_at desc,
            case status when 'withdrawn' then 1 when 'denied' then 2 when 'granted' then 3 end,
            valid_until nulls last
    ) = 1

)

select * from final
