select
    channel,
    customer_id,
    product_id,
    cast(rank as integer) as rank,
    cast(run_date as date) as run_date
from {{ source('night', 'past_items') }}
