with final as (

    select
        product_id,
        topic
    from {{ ref('int_products__classified') }}
    where not is_sensitive

)

select * from final
