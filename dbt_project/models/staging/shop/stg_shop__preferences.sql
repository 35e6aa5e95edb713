select
    customer_id,
    topic,
    choice,
    value,
    cast(occurred_at as timestamp) as occurred_at
from {{ source('shop', 'preferences') }}
