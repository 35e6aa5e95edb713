with removals as (

    select * from {{ ref('fct_removals') }}

),

channels as (

    select channel from {{ ref('stg_night__channels') }} where kind = 'crm_file'

),

final as (

    select
        removals.channel,
        removals.customer_id,
        removals.left_since,
        removals.reason
    from removals
    inner join channels on removals.channel = channels.channel

)

select * from final
