-- One model per source of rules, all with these columns.
with final as (

    select * from {{ ref('int_topic_rules__chosen') }}

)

select
    customer_id,
    topic,
    effect,
    because,
    cast(factor as double) as factor,
    cast(at_most as integer) as at_most
from final
