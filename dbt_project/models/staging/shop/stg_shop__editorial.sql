select
    product_id,
    content_id,
    cast(starts_on as date) as starts_on,
    cast(ends_on as date) as ends_on,
    cast(share as decimal(18,4)) as share
from {{ source('shop', 'editorial') }}
