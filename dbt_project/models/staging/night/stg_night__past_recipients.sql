select
    campaign,
    channel,
    contact_channel,
    customer_id,
    address,
    cast(run_date as date) as run_date
from {{ source('night', 'past_recipients') }}
