select
    product_id,
    name,
    category,
    brand,
    cast(price as decimal(18,4)) as price,
    currency,
    url,
    image_url,
    cast(is_active as boolean) as is_active,
    cast(in_stock as boolean) as in_stock,
    cast(launched_at as timestamp) as launched_at,
    cast(replenishable as boolean) as replenishable,
    cast(sensitive as boolean) as sensitive,
    cast(tags as varchar[]) as tags
from {{ source('shop', 'products') }}
