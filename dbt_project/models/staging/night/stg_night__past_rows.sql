select
    channel,
    customer_id,
    email,
    phone,
    row_sha,
    cast(run_date as date) as run_date
from {{ source('night', 'past_rows') }}
