-- How often: as this person does after two repeats or more; else as people do with the product, else with its category,
-- else with anything that is used up. Nobody knows a rhythm: nothing is due and nothing is not.
with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

spaced as (

    select * from {{ ref('int_purchases__dated') }} where replenishable

),

own as (

    select
        customer_id,
        product_id,
        category,
        max(day) as last_bought_on,
        count(gap) as gaps,
        case when count(gap) >= 2 then median(gap) end as own_days
    from spaced
    group by customer_id, product_id, category

),

typical as (

    select
        product_id,
        category,
        grouping(product_id, category) as level,
        count(gap) as gaps,
        median(gap) as typical_days
    from spaced
    where gap is not null
    group by grouping sets ((product_id), (category), ())

),

enough as (

    select typical.*
    from typical
    cross join needs
    where typical.gaps >= needs.min_gaps

),

timed as (

    select
        own.customer_id,
        own.product_id,
        own.category,
        own.last_bought_on,
        own.gaps,
        case
            when own.own_days is not null then 'own'
            when of_product.typical_days is not null then 'product'
            when of_category.typical_days is not null then 'category'
            when of_all.typical_days is not null then 'all'
        end as rhythm_of,
        cast(
            coalesce(own.own_days, of_product.typical_days, of_category.typical_days, of_all.typical_days) as double
        ) as every_days
    from own
    left join enough as of_product on own.product_id = of_product.product_id and of_product.level = 1
    left join enough as of_category on own.category = of_category.category and of_category.level = 2
    left join enough as of_all on of_all.level = 3

),

final as (

    select
        timed.customer_id,
        timed.product_id,
        timed.category,
        timed.last_bought_on,
        timed.gaps,
        timed.rhythm_of,
        timed.every_days,
        timed.last_bought_on + cast(ceil(timed.every_days * needs.due_from) as integer) as due_from_on,
        timed.last_bought_on + cast(round(timed.every_days) as integer) as next_due_on,
        timed.last_bought_on + cast(floor(timed.every_days * needs.due_until) as integer) as due_until_on,
        timed.last_bought_on + cast(ceil(timed.every_days * needs.due_from) as integer) <= settings.run_date as is_due,
        timed.last_bought_on + cast(floor(timed.every_days * needs.due_until) as integer) < settings.run_date
            as is_lapsed
    from timed
    cross join settings
    cross join needs

)

select * from final
