-- Why each product is recommended, the first kind that holds, and what that is about. A reason out of the customer's own
-- history is named only where it makes up enough of the score; a popular row never has one.
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

strongest as (

    select
        reasons.customer_id,
        reasons.rank,
        reasons.because_product_id,
        reasons.kind,
        reasons.share,
        products.name
    from {{ ref('stg_night__reasons') }} as reasons
    inner join {{ ref('dim_products') }} as products
        on reasons.because_product_id = products.product_id and not products.sensitive
    where reasons.place = 1

),

joined as (

    select
        recommendations.*,
        popularity.buyers,
        settings.popular_days,
        followed.name as followed_name,
        replenishments.product_id is not null as is_due,
        strongest.because_product_id,
        strongest.share as because_share,
        strongest.kind as because_kind,
        strongest.name as because_name,
        coalesce(strongest.share >= settings.reason_min_share, false) as is_explained
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
    left join strongest
        on
            recommendations.customer_id = strongest.customer_id
            and recommendations.rank = strongest.rank
            and recommendations.source in ('individual', 'buy_again')

),

kinds as (

    select
        *,
        case
            when because = 'interested' then 'interested'
            when is_due then 'due'
            when because = 'follows' then 'follows'
            when source in ('individual', 'buy_again') and is_explained then because_kind
            when source in ('individual', 'buy_again') then 'individual'
            when source = 'popular' and coalesce(buyers, 0) = 0 then 'range'
            when source = 'popular' and popular_days = 1 then 'popular_day'
            when source = 'popular' then 'popular'
        end as reason_kind
    from joined

),

final as (

    select
        run_date,
        customer_id,
        rank,
        product_id,
        source,
        reason_kind,
        case reason_kind
            when 'interested' then string_split(topic, ' > ')[-1]
            when 'follows' then followed_name
            when 'bought' then because_name
            when 'looked_at' then because_name
            when 'popular' then cast(popular_days as varchar)
        end as reason_about,
        because_product_id,
        because_share,
        context,
        model_version,
        score
    from kinds

)

select * from final
