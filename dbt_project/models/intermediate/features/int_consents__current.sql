-- The newest statement counts. Of statements made at the same moment the strictest does.
with consents as (

    select * from {{ ref('stg_shop__consents') }}

),

final as (

    select
        customer_id,
        channel as contact_channel,
        purpose,
        status,
        occurred_at,
        valid_until
    from consents
    qualify row_number() over (
        partition by customer_id, channel, purpose
        order by
            occurred_at desc,
            case status when 'withdrawn' then 1 when 'denied' then 2 when 'granted' then 3 end,
            valid_until nulls last
    ) = 1

)

select * from final
