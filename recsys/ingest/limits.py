"""What bounds the messages of a night besides permission, as tables: caps, quiet hours, campaigns of our own."""

import polars as pl

from recsys.contact_settings import QuietHours
from recsys.night import Night
from recsys.tables import write_parquet

MINUTES_A_DAY = 1440


def write_limits(night: Night) -> None:
    """Write `raw/caps.parquet`, `raw/quiet_hours.parquet` and `raw/own_campaigns.parquet`, in the shop file's order.

    caps: cap (from 1), contact_channel (null: all), days or hours, most. quiet_hours: contact_channel (null: all),
    begins_minute and ends_minute of the local day (1440: its end). own_campaigns: campaign. Without any, no rows.
    """
    shop = night.shop
    caps = pl.DataFrame(
        [
            (number, cap.contact_channel and cap.contact_channel.value, cap.days, cap.hours, cap.most)
            for number, cap in enumerate(shop.caps, start=1)
        ],
        schema={
            "cap": pl.Int64(),
            "contact_channel": pl.String(),
            "days": pl.Int64(),
            "hours": pl.Int64(),
            "most": pl.Int64(),
        },
        orient="row",
    )
    quiet_hours = pl.DataFrame(
        [
            (quiet.contact_channel and quiet.contact_channel.value, begins_minute(quiet), minute(quiet.ends))
            for quiet in shop.quiet_hours
        ],
        schema={"contact_channel": pl.String(), "begins_minute": pl.Int64(), "ends_minute": pl.Int64()},
        orient="row",
    )
    own_campaigns = pl.DataFrame({"campaign": shop.caps_own_campaigns}, schema={"campaign": pl.String()})
    for name, frame in (("caps", caps), ("quiet_hours", quiet_hours), ("own_campaigns", own_campaigns)):
        write_parquet(frame, night.raw / f"{name}.parquet")


def begins_minute(quiet: QuietHours) -> int:
    """The minute of the local day from which on it is quiet; 00:00 is the end of the day."""
    return minute(quiet.begins) or MINUTES_A_DAY


def minute(time_of_day: str) -> int:
    """HH:MM as minutes from midnight."""
    hours, minutes = time_of_day.split(":")
    return int(hours) * 60 + int(minutes)
