with final as (

    select
        channel,
        customer_id,
        rank,
        topic,
        why,
        reason
    from {{ ref('fct_check_ins') }}

)

select * from final
