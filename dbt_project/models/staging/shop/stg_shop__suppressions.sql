select
    customer_id,
    email,
    phone,
    channel,
    reason,
    cast(occurred_at as timestamp) as occurred_at
from {{ source('shop', 'suppressions') }}
