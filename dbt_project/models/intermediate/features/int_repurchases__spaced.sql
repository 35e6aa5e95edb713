with purchases as (

    select * from {{ ref('int_purchases__dated') }}

),

final as (

    select
        customer_id,
        product_id,
        category,
        replenishable,
        day,
        day - lag(day) over (partition by customer_id, product_id order by day) as gap
    from purchases

)

select * from final
