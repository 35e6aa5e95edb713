with settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

needs as (

    select * from {{ ref('stg_night__needs') }}

),

finished as (

    select * from {{ ref('customer_needs') }} where state = 'finished'

),

successors as (

    select * from {{ ref('category_successors') }}

),

final as (

    select
        finished.customer_id,
        successors.next_category,
        finished.category,
        rhythms.name
    from finished
    inner join successors on finished.category = successors.category
    inner join {{ ref('category_rhythms') }} as rhythms on finished.category = rhythms.category
    cross join needs
    cross join settings
    where finished.finished_on + needs.follows_days >= settings.run_date
    qualify row_number() over (
        partition by finished.customer_id, successors.next_category
        order by finished.finished_on desc, successors.lift desc, finished.category
    ) = 1

)

select * from final
