select
    channel,
    is_published,
    is_delivered,
    cast(run_date as date) as run_date
from {{ source('night', 'past_nights') }}
