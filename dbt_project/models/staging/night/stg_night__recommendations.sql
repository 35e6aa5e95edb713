select
    customer_id,
    product_id,
    source,
    model_version,
    because,
    topic,
    context,
    cast(rank as integer) as rank,
    cast(score as double) as score,
    cast(run_date as date) as run_date
from {{ source('night', 'recommendations') }}
