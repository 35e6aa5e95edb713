select
    channel,
    is_published,
    cast(run_date as date) as run_date
from {{ source('night', 'past_nights') }}
