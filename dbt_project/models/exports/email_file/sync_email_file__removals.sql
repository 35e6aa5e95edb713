with removals as (

    select * from {{ ref('fct_removals') }}

),

channels as (

    select channel from {{ ref('stg_night__channels') }} where kind = 'email_file'

),

final as (

    select
        removals.channel,
        removals.customer_id,
        removals.address as email,
        removals.left_since,
        removals.reason
    from removals
    inner join channels on removals.channel = channels.channel

)

select * from final
