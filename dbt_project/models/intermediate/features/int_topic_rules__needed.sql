-- The same columns as every other source of topic rules. Only what a person's own behaviour says, so only of people who
-- may be personalised: the needs and the concentration know nobody else.
with needs as (

    select * from {{ ref('stg_night__needs') }}

),

customer_needs as (

    select * from {{ ref('customer_needs') }}

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

-- A lift by 1 moves nothing: it makes the category's best part of the choice. What is due itself is lifted as a product.
due as (

    select
        customer_id,
        category as topic,
        'lift' as effect,
        1.0 as factor,
        cast(null as integer) as at_most,
        'due' as because
    from customer_needs
    where state = 'due'

),

follows as (

    select
        followed.customer_id,
        followed.next_category as topic,
        'lift' as effect,
        needs.follows_lift as factor,
        cast(null as integer) as at_most,
        'follows' as because
    from {{ ref('int_needs__followed') }} as followed
    cross join needs
    where needs.follows_lift > 1

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
