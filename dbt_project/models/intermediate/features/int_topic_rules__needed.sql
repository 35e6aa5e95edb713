-- The same columns as every other source of topic rules. Only what a person's own behaviour says, so only of people who
-- may be personalised: the needs and the concentration know nobody else.
with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

customer_needs as (

    select * from {{ ref('customer_needs') }}

),

successors as (

    select category, next_category from {{ ref('category_successors') }}

),

concentration as (

    select * from {{ ref('customer_concentration') }} where is_narrow

),

finished as (

    select
        customer_id,
        category as topic,
        'exclude' as effect,
        cast(null as double) as factor,
        cast(null as integer) as at_most,
        'finished' as because
    from customer_needs
    where state = 'finished'

),

due as (

    select
        customer_needs.customer_id,
        customer_needs.category as topic,
        'lift' as effect,
        needs.due_lift as factor,
        cast(null as integer) as at_most,
        'due' as because
    from customer_needs
    cross join needs
    where customer_needs.state = 'due' and needs.due_lift > 1

),

follows as (

    select distinct
        customer_needs.customer_id,
        successors.next_category as topic,
        'lift' as effect,
        needs.follows_lift as factor,
        cast(null as integer) as at_most,
        'follows' as because
    from customer_needs
    inner join successors on customer_needs.category = successors.category
    cross join needs
    cross join settings
    where
        customer_needs.state = 'finished'
        and customer_needs.finished_on + needs.follows_days >= settings.run_date
        and needs.follows_lift > 1

),

narrow as (

    select
        concentration.customer_id,
        concentration.category as topic,
        'limit' as effect,
        cast(null as double) as factor,
        needs.narrow_at_most as at_most,
        'narrow' as because
    from concentration
    cross join needs

),

final as (

    select * from finished
    union all by name
    select * from due
    union all by name
    select * from follows
    union all by name
    select * from narrow

)

select * from final
