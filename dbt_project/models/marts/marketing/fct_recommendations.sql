with recommendations as (

    select * from {{ ref('int_recommendations__reasoned') }}

),

final as (

    select
        run_date,
        customer_id,
        rank,
        product_id,
        source,
        case reason_kind
            when 'interested' then 'Because you said you are interested in ' || reason_about
            when 'due' then 'You usually buy this again about now'
            when 'follows' then 'Often chosen after ' || reason_about
            when 'bought' then 'Because you bought ' || reason_about
            when 'looked_at' then 'Because you looked at ' || reason_about
            when 'individual' then 'Chosen from your own purchases and visits'
            when 'range' then 'From our range'
            when 'popular_day' then 'Popular in the last day'
            when 'popular' then 'Popular in the last ' || reason_about || ' days'
        end as reason,
        reason_kind,
        reason_about,
        because_product_id,
        because_share,
        context,
        model_version,
        score
    from recommendations

)

select * from final
