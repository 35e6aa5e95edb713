select
    message_id,
    customer_id,
    channel,
    campaign,
    cast(sent_at as timestamp) as sent_at
from {{ source('shop', 'contacts') }}
