select
    contact_channel,
    cast(begins_minute as bigint) as begins_minute,
    cast(ends_minute as bigint) as ends_minute
from {{ source('night', 'quiet_hours') }}
