-- Countries with few buyers have no list of their own: what a handful bought is chance, and tells of them.
with customers as (

    select customer_id, country from {{ ref('dim_customers') }} where country is not null

),

order_lines as (

    select * from {{ ref('int_order_lines__attributed') }}

),

popularity as (

    select product_id, rank from {{ ref('product_popularity') }}

),

settings as (

    select * from {{ ref('stg_night__settings') }}

),

per_person as (

    select
        customers.country,
        order_lines.product_id,
        order_lines.customer_id,
        sum(order_lines.quantity) > 0 as has_bought_ever,
        coalesce(
            sum(order_lines.quantity) filter (
                where order_lines.ordered_at >= settings.night_end - to_days(cast(settings.popular_days as integer))
            ) > 0,
            false
        ) as has_bought
    from order_lines
    inner join customers on order_lines.customer_id = customers.customer_id
    cross join settings
    group by customers.country, order_lines.product_id, order_lines.customer_id

),

countries as (

    select per_person.country
    from per_person
    cross join settings
    where per_person.has_bought
    group by per_person.country, settings.country_buyers
    having count(distinct per_person.customer_id) >= settings.country_buyers

),

counts as (

    select
        country,
        product_id,
        count(*) filter (where has_bought) as buyers,
        count(*) filter (where has_bought_ever) as buyers_ever
    from per_person
    group by country, product_id

),

counted as (

    select
        countries.country,
        popularity.product_id,
        popularity.rank as overall_rank,
        coalesce(counts.buyers, 0) as buyers,
        coalesce(counts.buyers_ever, 0) as buyers_ever
    from countries
    cross join popularity
    left join counts on countries.country = counts.country and popularity.product_id = counts.product_id

),

final as (

    select
        country,
        product_id,
        buyers,
        row_number() over (
            partition by country
            order by buyers desc, buyers_ever desc, overall_rank
        ) as rank
    from counted

)

select * from final
