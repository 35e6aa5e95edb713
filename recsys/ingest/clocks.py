"""What the clocks of the world show around a night, from the tzdata package alone: the same tables on every machine."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import polars as pl

from recsys.night import Night
from recsys.tables import write_parquet

DAYS_BACK = 95
DAYS_AHEAD = 5
"""Around the night's date: farther than the longest cap looks back, and over the campaign day in every zone."""

_PACKAGE = "tzdata"
_UNKNOWN = "Factory"


@cache
def zone(name: str) -> ZoneInfo:
    """A time zone as the tzdata package has it, whatever the machine's own tables say. KeyError for unknown names."""
    if name not in zone_names():
        raise KeyError(name)
    with files(_PACKAGE).joinpath("zoneinfo", *name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


@cache
def zone_names() -> tuple[str, ...]:
    """Every IANA name, the older ones included, but the one that stands for an unknown zone."""
    names = files(_PACKAGE).joinpath("zones").read_text(encoding="utf-8").split()
    return tuple(sorted(name for name in names if name != _UNKNOWN))


@cache
def country_zones() -> pl.DataFrame:
    """country (ISO 3166-1 alpha-2) and zone: every zone that is used in the country today; ordered."""
    lines = files(_PACKAGE).joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return pl.DataFrame(
        [(row[0], row[2]) for row in rows], schema={"country": pl.String, "zone": pl.String}, orient="row"
    ).sort("country", "zone")


@cache
def zone_offsets(run_date: date) -> pl.DataFrame:
    """zone, since, until (UTC, half-open) and offset_seconds (local minus UTC): what every zone's clocks show.

    One row per zone and stretch without a change of clocks, without gaps, from DAYS_BACK days before the date to
    DAYS_AHEAD days after it; ordered.
    """
    rows = [stretch for name in zone_names() for stretch in stretches(name, run_date)]
    schema = {
        "zone": pl.String(),
        "since": pl.Datetime("us"),
        "until": pl.Datetime("us"),
        "offset_seconds": pl.Int64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("zone", "since")


def stretches(name: str, run_date: date) -> list[tuple[str, datetime, datetime, int]]:
    """The rows of `zone_offsets` of one zone."""
    midnight = datetime.combine(run_date, time(), tzinfo=UTC)
    days = [midnight + timedelta(days=day) for day in range(-DAYS_BACK, DAYS_AHEAD + 1)]
    clock = zone(name)
    offsets = [_offset(clock, day) for day in days]
    starts = [_change(clock, days[i - 1], days[i]) for i in range(1, len(days)) if offsets[i] != offsets[i - 1]]
    return [
        (name, since.replace(tzinfo=None), until.replace(tzinfo=None), _offset(clock, since))
        for since, until in zip([days[0], *starts], [*starts, days[-1]], strict=True)
    ]


def write_clocks(night: Night) -> None:
    """Write `raw/country_zones.parquet` and `raw/zone_offsets.parquet`."""
    write_parquet(country_zones(), night.raw / "country_zones.parquet")
    write_parquet(zone_offsets(night.run_date), night.raw / "zone_offsets.parquet")


def _offset(clock: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(clock).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _change(clock: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the later moment's offset, by halving; the two differ and are at most a day apart."""
    later = _offset(clock, after)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        before, after = (before, middle) if _offset(clock, middle) == later else (middle, after)
    return after
