with removals as (

    select * from {{ ref('fct_removals') }}

),

channels as (

    select * from {{ ref('stg_night__channels') }} where kind not in ('email_file', 'crm_file')

),

final as (

    select
        removals.channel,
        removals.customer_id,
        case channels.address_kind when 'email' then removals.address end as email,
        case channels.address_kind when 'phone' then removals.address end as phone,
        removals.left_since,
        removals.reason
    from removals
    inner join channels on removals.channel = channels.channel

)

select * from final
