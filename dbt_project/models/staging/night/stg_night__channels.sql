select
    channel,
    kind,
    contact_channel,
    carries,
    address_kind,
    asks,
    cast(skip_unchanged as boolean) as skip_unchanged,
    language,
    cast(slots as bigint) as slots,
    cast(min_items as bigint) as min_items,
    cast(position as bigint) as position
from {{ source('night', 'channels') }}
