select
    customer_id,
    channel,
    purpose,
    status,
    cast(occurred_at as timestamp) as occurred_at,
    cast(valid_until as timestamp) as valid_until,
    source
from {{ source('shop', 'consents') }}
