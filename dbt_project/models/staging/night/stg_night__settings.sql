select
    shop,
    currency,
    timezone,
    cast(control_share as double) as control_share,
    cast(k as bigint) as k,
    cast(half_life_days as bigint) as half_life_days,
    cast(popular_days as bigint) as popular_days,
    cast(min_age as integer) as min_age,
    cast(weight_order as double) as weight_order,
    cast(weight_cart as double) as weight_cart,
    cast(weight_wishlist as double) as weight_wishlist,
    cast(weight_view as double) as weight_view,
    cast(run_date as date) as run_date,
    cast(night_end as timestamp) as night_end
from {{ source('night', 'settings') }}
