-- One model per source of rules, all with these columns.
with final as (

    select * from {{ ref('int_topic_rules__chosen') }}
    union all by name
    select * from {{ ref('int_topic_rules__needed') }}

)

select
    customer_id,
    topic,
    effect,
    because,
    cast(factor as double) as factor,
    cast(at_most as integer) as at_most
from final
