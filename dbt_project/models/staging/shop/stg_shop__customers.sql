select
    customer_id,
    email,
    phone,
    first_name,
    last_name,
    country,
    language,
    timezone,
    cast(birth_year as integer) as birth_year,
    cast(created_at as timestamp) as created_at,
    cast(updated_at as timestamp) as updated_at
from {{ source('shop', 'customers') }}
