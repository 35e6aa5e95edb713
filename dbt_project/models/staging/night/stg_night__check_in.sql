select
    cast(every_days as integer) as every_days,
    cast(lately_days as integer) as lately_days,
    cast(topics as integer) as topics,
    cast(faded_below as double) as faded_below,
    language
from {{ source('night', 'check_in') }}
