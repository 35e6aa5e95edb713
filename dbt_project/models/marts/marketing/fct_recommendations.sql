with recommendations as (

    select * from {{ ref('stg_night__recommendations') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

popularity as (

    select product_id, buyers from {{ ref('product_popularity') }}

),

replenishments as (

    select customer_id, product_id from {{ ref('int_replenishments__timed') }} where is_due and not is_lapsed

),

followed as (

    select * from {{ ref('int_needs__followed') }}

),

final as (

    select
        recommendations.run_date,
        recommendations.customer_id,
        recommendations.rank,
        recommendations.product_id,
        recommendations.source,
        case
            when recommendations.because = 'interested'
                then 'Because you said you are interested in ' || string_split(recommendations.topic, ' > ')[-1]
            when replenishments.product_id is not null then 'You usually buy this again about now'
            when recommendations.because = 'follows' then 'Often chosen after ' || followed.name
            when recommendations.source = 'individual' then 'Chosen from your own purchases and visits'
            when recommendations.source = 'popular' and coalesce(popularity.buyers, 0) = 0 then 'From our range'
            when recommendations.source = 'popular' and settings.popular_days = 1 then 'Popular in the last day'
            when recommendations.source = 'popular'
                then 'Popular in the last ' || settings.popular_days || ' days'
        end as reason,
        recommendations.model_version,
        recommendations.score
    from recommendations
    cross join settings
    left join popularity on recommendations.product_id = popularity.product_id
    left join replenishments
        on
            recommendations.customer_id = replenishments.customer_id
            and recommendations.product_id = replenishments.product_id
    left join followed
        on
            recommendations.customer_id = followed.customer_id
            and recommendations.topic = followed.next_category

)

select * from final
