select
    message_id,
    event_type,
    product_id,
    cast(occurred_at as timestamp) as occurred_at
from {{ source('shop', 'engagements') }}
