select
    visitor_id,
    customer_id,
    cast(seen_at as timestamp) as seen_at
from {{ source('shop', 'identities') }}
