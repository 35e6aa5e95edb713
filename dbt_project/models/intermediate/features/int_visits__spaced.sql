with visits as (

    select distinct customer_id, category, day from {{ ref('int_purchases__dated') }} where category is not null

),

final as (

    select
        customer_id,
        category,
        day,
        day - lag(day) over (partition by customer_id, category order by day) as gap
    from visits

)

select * from final
