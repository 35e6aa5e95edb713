select
    customer_id,
    channel,
    reason,
    occurred_at
from {{ source('night', 'remembered_suppressions') }}
