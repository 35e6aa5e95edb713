with recommendations as (

    select * from {{ ref('stg_night__recommendations') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

popularity as (

    select product_id, buyers from {{ ref('product_popularity') }}

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

)

select * from final
