"""What a person's clock may show at a moment, from the time zones themselves: it shares no SQL with the dbt project."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from recsys.config import Shop
from recsys.ingest.clocks import country_zones, zone, zone_names
from recsys.ingest.limits import begins_minute, minute
from recsys.vocabulary import ContactChannel

STEP = timedelta(minutes=15)
"""No zone changes its clocks more finely than this between two moments that are looked at."""


def of_customers(customers: pl.DataFrame) -> pl.DataFrame:
    """customer_id and clock of customers (customer_id, country, timezone).

    A clock is a valid time zone's name, else the code of a country that has zones, else empty.
    """
    is_zone = pl.col("timezone").is_in(pl.Series(zone_names()).implode())
    is_country = pl.col("country").is_in(country_zones()["country"].implode())
    clock = pl.when(is_zone).then("timezone").when(is_country).then(pl.lit("/") + pl.col("country"))
    return customers.select("customer_id", clock=clock.otherwise(pl.lit("")))


def zones_of(clock: str, shop: Shop) -> list[ZoneInfo]:
    """Every zone that the clock may be in; the brand's own where nothing is known."""
    if not clock:
        return [zone(shop.timezone)]
    if clock.startswith("/"):
        names = country_zones().filter(pl.col("country") == clock[1:])["zone"].to_list()
        return [zone(name) for name in names]
    return [zone(clock)]


def day_begins(day: date, zones: Sequence[ZoneInfo]) -> datetime:
    """The first moment, naive UTC, at which it is that day in one of the zones."""
    starts = [datetime.combine(day, time(), tzinfo=one).astimezone(UTC) for one in zones]
    return min(starts).replace(tzinfo=None)


def earliest_day(moment: datetime, zones: Sequence[ZoneInfo]) -> date:
    """The earliest date that calendars in the zones show at a moment (naive UTC)."""
    return min(moment.replace(tzinfo=UTC).astimezone(one).date() for one in zones)


def is_allowed(
    since: datetime, until: datetime, day: date, clock: str, contact_channel: ContactChannel, shop: Shop
) -> bool:
    """Whether a message may go out at every moment from `since` on and before `until` (naive UTC).

    In every zone of the clock it is that day then, and no quiet hours of the contact channel. A text message with quiet
    hours to somebody of whose time nothing is known may not go out at all.
    """
    quiet = [hours for hours in shop.quiet_hours if hours.contact_channel in {None, contact_channel}]
    if quiet and not clock and contact_channel is ContactChannel.SMS:
        return False
    if not timedelta(0) < until - since <= timedelta(days=2):
        return False
    moments = [since + STEP * step for step in range((until - since) // STEP + 1)]
    moments = [moment for moment in moments if moment < until] + [until - timedelta(seconds=1)]
    spans = [(minute(hours.ends), begins_minute(hours)) for hours in quiet]
    for one in zones_of(clock, shop):
        for moment in moments:
            local = moment.replace(tzinfo=UTC).astimezone(one)
            shown = local.hour * 60 + local.minute
            if local.date() != day or not all(ends <= shown < begins for ends, begins in spans):
                return False
    return True
