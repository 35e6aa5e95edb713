select
    shop,
    currency,
    cast(k as bigint) as k,
    cast(half_life_days as bigint) as half_life_days,
    cast(popular_days as bigint) as popular_days,
    cast(min_age as integer) as min_age,
    cast(interest_half_life_days as bigint) as interest_half_life_days,
    cast(interest_expire_days as bigint) as interest_expire_days,
    cast(interested_factor as double) as interested_factor,
    cast(less_like_this_factor as double) as less_like_this_factor,
    cast(weight_order as double) as weight_order,
    cast(weight_cart as double) as weight_cart,
    cast(weight_wishlist as double) as weight_wishlist,
    cast(weight_view as double) as weight_view,
    cast(run_date as date) as run_date,
    cast(night_end as timestamp) as night_end
from {{ source('night', 'settings') }}
