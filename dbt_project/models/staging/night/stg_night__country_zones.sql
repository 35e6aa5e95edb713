select
    country,
    zone
from {{ source('night', 'country_zones') }}
