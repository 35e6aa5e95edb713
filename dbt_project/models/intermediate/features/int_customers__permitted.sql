-- Whose behaviour may be used. Unknown means no, and so does a single no among several statements.
with customers as (

    select customer_id, birth_year from {{ ref('stg_shop__customers') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

statements as (

    select
        consents.customer_id,
        consents.purpose,
        consents.status <> 'granted' as is_refusal,
        consents.status = 'granted'
        and (consents.valid_until is null or consents.valid_until > settings.night_end) as is_consent
    from {{ ref('int_consents__current') }} as consents
    cross join settings

),

personalisation as (

    select
        customer_id,
        bool_or(is_consent) and not bool_or(is_refusal) as is_allowed
    from statements
    where purpose = 'personalisation'
    group by customer_id

),

marketing as (

    select
        customer_id,
        bool_or(is_refusal) and not bool_or(is_consent) as is_refused
    from statements
    where purpose = 'marketing'
    group by customer_id

),

suppressions as (

    select distinct customer_id from {{ ref('int_suppressions__matched') }} where is_for_every_channel

),

facts as (

    select
        customers.customer_id,
        -- only the year of birth is known, so the birthday is taken to be the last day of it
        coalesce(make_date(customers.birth_year + settings.min_age, 12, 31) > settings.run_date, false) as is_minor,
        suppressions.customer_id is not null or coalesce(marketing.is_refused, false) as is_objector,
        coalesce(personalisation.is_allowed, false) as is_allowed
    from customers
    cross join settings
    left join personalisation on customers.customer_id = personalisation.customer_id
    left join marketing on customers.customer_id = marketing.customer_id
    left join suppressions on customers.customer_id = suppressions.customer_id

),

final as (

    select
        customer_id,
        is_minor,
        is_allowed and not is_objector and not is_minor as may_personalise
    from facts

)

select * from final
