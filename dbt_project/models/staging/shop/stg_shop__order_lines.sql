select
    order_id,
    customer_id,
    visitor_id,
    product_id,
    cast(quantity as bigint) as quantity,
    cast(unit_price as decimal(18,4)) as unit_price,
    cast(ordered_at as timestamp) as ordered_at
from {{ source('shop', 'order_lines') }}
