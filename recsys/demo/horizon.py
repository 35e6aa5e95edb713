"""The thirteen months the demo shop lives in: its days, weeks and moments, in the shop's own time zone.

Days count from 0 (2025-09-01, a Monday); weeks of seven days likewise. Moments are seconds since 1970 in UTC.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from recsys.demo.draws import Floats, Ints

ZONE = ZoneInfo("Europe/Berlin")
START = date(2025, 9, 1)
END = date(2026, 9, 30)
FIRST_DELIVERY = date(2026, 8, 18)
"""The first day folder holds everything up to and including this day; later folders hold one day each."""
DEFAULT_THROUGH = date(2026, 8, 31)

DAYS = (END - START).days + 1
WEEKS = -(-DAYS // 7)
SHORTEST_DAY = 23 * 3600
"""Seconds of the day on which clocks go forward: every second of day below this exists exactly once on every day."""


def _midnight(number: int) -> int:
    return int(datetime.combine(START + timedelta(days=number), time(), tzinfo=ZONE).timestamp())


MIDNIGHTS: Ints = np.array([_midnight(number) for number in range(DAYS + 1)], dtype=np.int64)
"""The moment each day begins; one more than there are days."""
MONDAYS = [START + timedelta(weeks=week) for week in range(WEEKS)]


def day_number(day: date) -> int:
    """The number of a calendar day; negative before the horizon."""
    return (day - START).days


FIRST_DAY = day_number(FIRST_DELIVERY)


def calendar_day(number: int) -> date:
    """The calendar day of a number."""
    return START + timedelta(days=number)


def moment(days: Ints, seconds: Ints) -> Ints:
    """The moments that lie `seconds` (less than SHORTEST_DAY) after local midnight of `days`."""
    return MIDNIGHTS[days] + seconds


def days_of(moments: Ints) -> Ints:
    """The local day of each moment: -1 for any before the horizon, DAYS for any after it."""
    return np.searchsorted(MIDNIGHTS, moments, side="right").astype(np.int64) - 1


def clock(rng: np.random.Generator, count: int) -> Ints:
    """Seconds of day, as people shop: few at night, most in the late afternoon and evening."""
    return (rng.beta(3.2, 1.7, count) * SHORTEST_DAY).astype(np.int64)


def _busyness() -> Floats:
    """How much is bought on each day: more at weekends, most before Christmas, little in high summer."""
    days = np.arange(DAYS)
    weekday = np.array([0.95, 0.9, 0.9, 0.95, 1.0, 1.15, 1.2])[days % 7]
    christmas = day_number(date(2025, 12, 12))
    return weekday * (1 + 0.7 * np.exp(-(((days - christmas) / 18) ** 2)) + 0.1 * np.cos(2 * np.pi * days / 365))


_BUSY: Floats = np.concatenate([[0.0], np.cumsum(_busyness())])
_BUSY /= _BUSY[-1]


def exposure(first: Ints, last: Ints) -> Floats:
    """Share of all the horizon's business that falls into the days `first` to `last`; 0 when last is before first."""
    share: Floats = np.maximum(_BUSY[last + 1] - _BUSY[first], 0.0)
    return share


def busy_days(rng: np.random.Generator, first: Ints, last: Ints) -> Ints:
    """One day each out of `first` to `last` (last not before first), busy days more often."""
    low, high = _BUSY[first], _BUSY[last + 1]
    drawn = np.searchsorted(_BUSY, low + rng.random(len(first)) * (high - low), side="right") - 1
    return np.clip(drawn, first, last).astype(np.int64)
