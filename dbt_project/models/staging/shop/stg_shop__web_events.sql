select
    event_id,
    visitor_id,
    customer_id,
    product_id,
    event_type,
    cast(occurred_at as timestamp) as occurred_at
from {{ source('shop', 'web_events') }}
