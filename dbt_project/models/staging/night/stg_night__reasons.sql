select
    customer_id,
    product_id,
    because_product_id,
    kind,
    cast(rank as integer) as rank,
    cast(place as integer) as place,
    cast(share as double) as share,
    cast(run_date as date) as run_date
from {{ source('night', 'reasons') }}
