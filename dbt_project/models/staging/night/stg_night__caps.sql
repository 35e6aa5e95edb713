select
    contact_channel,
    cast(cap as bigint) as cap,
    cast(days as bigint) as days,
    cast(hours as bigint) as hours,
    cast(most as bigint) as most
from {{ source('night', 'caps') }}
