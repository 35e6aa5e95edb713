-- From when on messages count towards a cap. Days are the person's own, the campaign day the last of them; where the zone
-- is not known, each of its zones' days counts. Hours go back from the first moment at which tonight's message may go
-- out, so that it fits whenever it is sent.
with caps as (

    select * from {{ ref('stg_night__caps') }}

),

clocks as (

    select * from {{ ref('int_clocks__composed') }}

),

opened as (

    select opened.*
    from {{ ref('int_clocks__opened') }} as opened
    where opened.contact_channel in (select channels.contact_channel from {{ ref('stg_night__channels') }} as channels)

),

settings as (

    select run_date from {{ ref('stg_night__settings') }}

),

offsets as (

    select * from {{ ref('stg_night__zone_offsets') }}

),

first_days as (

    select
        caps.cap,
        settings.run_date + 2 - cast(caps.days as integer) as since_day
    from caps
    cross join settings
    where caps.days is not null

),

by_days as (

    select
        clocks.clock,
        first_days.cap,
        first_days.since_day,
        min(
            greatest(cast(first_days.since_day as timestamp) - to_seconds(offsets.offset_seconds), offsets.since)
        ) as since_at
    from first_days
    cross join clocks
    inner join offsets
        on clocks.zone = offsets.zone
        and cast(first_days.since_day as timestamp) - to_seconds(offsets.offset_seconds) < offsets.until
    group by clocks.clock, first_days.cap, first_days.since_day

),

first_moments as (

    select
        opened.clock,
        caps.cap,
        -- a message exactly so many hours ago is out of the window
        min(opened.send_not_before) - to_hours(caps.hours) + to_microseconds(1) as since_at
    from caps
    inner join opened on coalesce(caps.contact_channel, opened.contact_channel) = opened.contact_channel
    where caps.hours is not null
    group by opened.clock, caps.cap, caps.hours

),

by_hours as (

    select
        first_moments.clock,
        first_moments.cap,
        -- of a planned message only the day is known, so any day that reaches into the window counts
        min(cast(first_moments.since_at + to_seconds(offsets.offset_seconds) as date)) as since_day,
        first_moments.since_at
    from first_moments
    inner join clocks on first_moments.clock = clocks.clock
    inner join offsets
        on clocks.zone = offsets.zone
        and first_moments.since_at >= offsets.since
        and first_moments.since_at < offsets.until
    group by first_moments.clock, first_moments.cap, first_moments.since_at

),

windows as (

    select clock, cap, since_at, since_day from by_days
    union all
    select clock, cap, since_at, since_day from by_hours

),

final as (

    select
        windows.clock,
        windows.cap,
        caps.contact_channel,
        caps.most,
        windows.since_at,
        windows.since_day
    from windows
    inner join caps on windows.cap = caps.cap

)

select * from final
