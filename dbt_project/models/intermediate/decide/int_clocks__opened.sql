-- When a message of this night may go out: on the campaign day, outside the quiet hours, not before the night is over, and
-- all this whichever of the clock's zones it is. Where clocks change, an hour that comes twice is quiet both times.
with clocks as (

    select * from {{ ref('int_clocks__composed') }}

),

settings as (

    select run_date, night_end from {{ ref('stg_night__settings') }}

),

quiet_hours as (

    select * from {{ ref('stg_night__quiet_hours') }}

),

offsets as (

    select * from {{ ref('stg_night__zone_offsets') }}

),

hours as (

    select
        contact_channels.contact_channel,
        coalesce(max(quiet_hours.ends_minute), 0) as opens_minute,
        coalesce(min(quiet_hours.begins_minute), 1440) as closes_minute,
        count(quiet_hours.begins_minute) > 0 as has_quiet_hours
    from {{ contact_channels() }}
    left join quiet_hours
        on coalesce(quiet_hours.contact_channel, contact_channels.contact_channel) = contact_channels.contact_channel
    group by contact_channels.contact_channel

),

local_times as (

    select
        hours.*,
        cast(settings.run_date + 1 as timestamp) + to_minutes(hours.opens_minute) as opens_at,
        cast(settings.run_date + 1 as timestamp) + to_minutes(hours.closes_minute) as closes_at
    from hours
    cross join settings

),

-- in each stretch between two changes of clocks: until when it is before the opening, from when on after the closing
stretches as (

    select
        offsets.zone,
        local_times.contact_channel,
        local_times.has_quiet_hours,
        least(local_times.opens_at - to_seconds(offsets.offset_seconds), offsets.until) as closed_until,
        local_times.opens_at - to_seconds(offsets.offset_seconds) > offsets.since as is_closed_at_first,
        greatest(local_times.closes_at - to_seconds(offsets.offset_seconds), offsets.since) as closed_from,
        local_times.closes_at - to_seconds(offsets.offset_seconds) < offsets.until as is_closed_at_last
    from offsets
    cross join local_times

),

zones as (

    select
        zone,
        contact_channel,
        has_quiet_hours,
        max(closed_until) filter (where is_closed_at_first) as opens_at,
        min(closed_from) filter (where is_closed_at_last) as closes_at
    from stretches
    group by zone, contact_channel, has_quiet_hours

),

windows as (

    select
        clocks.clock,
        zones.contact_channel,
        zones.has_quiet_hours,
        greatest(max(zones.opens_at), max(settings.night_end)) as send_not_before,
        min(zones.closes_at) as send_not_after
    from clocks
    inner join zones on clocks.zone = zones.zone
    cross join settings
    group by clocks.clock, zones.contact_channel, zones.has_quiet_hours

),

final as (

    select
        clock,
        contact_channel,
        send_not_before,
        send_not_after,
        -- a text message at night wakes people: without any idea of their time none is sent
        send_not_before < send_not_after
        and not (clock = 'unknown' and contact_channel = 'sms' and has_quiet_hours) as is_open
    from windows

)

select * from final
