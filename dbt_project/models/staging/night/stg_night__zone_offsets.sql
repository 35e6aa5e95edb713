select
    zone,
    cast(since as timestamp) as since,
    cast(until as timestamp) as until,
    cast(offset_seconds as bigint) as offset_seconds
from {{ source('night', 'zone_offsets') }}
