-- A clock is what we know of a person's time: a zone; or a country, where it may be any of its zones; or nothing, where
-- the brand's zone stands in.
with zones as (

    select distinct zone from {{ ref('stg_night__zone_offsets') }}

),

countries as (

    select * from {{ ref('stg_night__country_zones') }}

),

settings as (

    select timezone from {{ ref('stg_night__settings') }}

),

final as (

    select 'zone ' || zone as clock, zone from zones
    union all
    select 'country ' || country, zone from countries
    union all
    select 'unknown', timezone from settings

)

select * from final
