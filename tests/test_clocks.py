"""When a message may go out: quiet hours and campaign days on all the days on which clocks do odd things."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import duckdb
import polars as pl
import pytest
from dbt_nights import Built
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.ingest.clocks import country_zones, stretches, zone, zone_names, zone_offsets

Window = tuple[datetime, datetime, bool]
ZONES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "America/Havana": (date(2026, 3, 8), date(2026, 11, 1)),  # from 0:00 to 1:00, and from 1:00 to 0:00
    "Africa/Cairo": (date(2026, 4, 24), date(2026, 10, 30)),  # from 0:00 to 1:00, and from 24:00 to 23:00
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),  # half an hour
    "Antarctica/Troll": (date(2026, 3, 29), date(2026, 10, 25)),  # two hours
}
HOURS = {"email": (0, 1440), "sms": (480, 1260), "push": (150, 1440), "post": (30, 1410), "ads": (90, 150)}
"""Minutes of the day from and up to which messages may go out, per contact channel."""
TABLES = """
    CREATE SCHEMA staging; CREATE SCHEMA intermediate;
    CREATE TABLE staging.stg_night__settings (run_date DATE, night_end TIMESTAMP);
    CREATE TABLE staging.stg_night__quiet_hours (contact_channel VARCHAR, begins_minute BIGINT, ends_minute BIGINT);
    CREATE TABLE staging.stg_night__zone_offsets (
        zone VARCHAR, since TIMESTAMP, until TIMESTAMP, offset_seconds BIGINT
    );
    CREATE TABLE intermediate.int_clocks__composed (clock VARCHAR, zone VARCHAR);
"""


class Opened:
    """`int_clocks__opened` as dbt compiled it, on tables in memory."""

    def __init__(self, built: Built) -> None:
        self.sql = built.sql("int_clocks__opened")

    def __call__(
        self, day: date, clocks: list[tuple[str, str]], hours: dict[str | None, tuple[int, int]]
    ) -> dict[tuple[str, str], Window]:
        """The window of a day per clock and contact channel, for clocks (clock, zone); the night ends long before."""
        run_date = day - timedelta(days=1)
        rows: dict[str, list[tuple[object, ...]]] = {
            "staging.stg_night__settings": [(run_date, datetime(2020, 1, 1))],
            "staging.stg_night__quiet_hours": [(to, closes, opens) for to, (opens, closes) in hours.items()],
            "staging.stg_night__zone_offsets": [
                stretch for name in {name for _, name in clocks} for stretch in stretches(name, run_date)
            ],
            "intermediate.int_clocks__composed": [*clocks],
        }
        with duckdb.connect(":memory:", config={"threads": "1"}) as con:
            con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
            con.execute(TABLES)
            for table, values in rows.items():
                for row in values:
                    con.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            query = f"SELECT clock, contact_channel, send_not_before, send_not_after, is_open FROM ({self.sql})"
            return {
                (clock, to): (since, until, is_open) for clock, to, since, until, is_open in con.sql(query).fetchall()
            }


@pytest.fixture(scope="module")
def opened(toy_night: Built) -> Opened:
    return Opened(toy_night)


@cache
def minutes_of(day: date, name: str) -> list[tuple[datetime, int]]:
    """Every minute (UTC) of a local day with the minute that the clock shows, found by looking for three days."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    moments = [first + timedelta(minutes=step) for step in range(3 * 24 * 60)]
    shown = [(moment, moment.astimezone(zone(name))) for moment in moments]
    return [
        (moment.replace(tzinfo=None), local.hour * 60 + local.minute) for moment, local in shown if local.date() == day
    ]


def allowed_minutes(day: date, name: str, hours: tuple[int, int]) -> list[datetime]:
    """Every minute (UTC) at which a message may go out."""
    return [moment for moment, shown in minutes_of(day, name) if hours[0] <= shown < hours[1]]


def is_whole(minutes: list[datetime]) -> bool:
    return bool(minutes) and minutes[-1] - minutes[0] == timedelta(minutes=len(minutes) - 1)


@pytest.mark.parametrize("name", ZONES)
def test_on_days_when_clocks_change_the_window_is_what_the_clock_shows(opened: Opened, name: str) -> None:
    """Two changes of six zones, the days around them, a leap day and the end of a year; several quiet hours each."""
    days = [change + timedelta(days=around) for change in ZONES[name] for around in (-1, 0, 1)]
    days += [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1), date(2026, 12, 31), date(2027, 1, 1)]
    split = 0
    for day in days:
        windows = opened(day, [(name, name)], {**HOURS})
        for to, hours in HOURS.items():
            since, until, is_open = windows[name, to]
            minutes = allowed_minutes(day, name, hours)
            inside = [minute for minute in minutes if since <= minute < until]
            if is_whole(minutes):
                assert (since, until) == (minutes[0], minutes[-1] + timedelta(minutes=1))
            else:  # an hour that comes twice, or the hours do not exist: never more than the clock allows
                split += 1
                assert not is_open or len(inside) * timedelta(minutes=1) == until - since
            assert is_open == (since < until)
    assert split < len(days) * len(HOURS) / 4


@settings(max_examples=tries(25), deadline=None)
@given(
    day=st.dates(date(2025, 1, 1), date(2029, 12, 31)),
    names=st.lists(st.sampled_from(zone_names()), min_size=1, max_size=4, unique=True),
    opens=st.integers(0, 720),
    length=st.integers(1, 1440),
)
def test_a_window_fits_in_every_zone_that_it_may_be(
    opened: Opened, day: date, names: list[str], opens: int, length: int
) -> None:
    hours = (opens, min(opens + length, 1440))
    clocks = [(clock, name) for name in names for clock in ("all", name)]
    windows = opened(day, clocks, {None: hours})
    since, until, is_open = windows["all", "email"]
    assert since == max(windows[name, "email"][0] for name in names)
    assert until == min(windows[name, "email"][1] for name in names)
    assert is_open == (since < until)
    if is_open:
        for moment in (since, until - timedelta(seconds=1)):
            for name in names:
                shown = moment.replace(tzinfo=UTC).astimezone(zone(name))
                assert shown.date() == day
                assert hours[0] <= shown.hour * 60 + shown.minute < hours[1]


def test_offsets_cover_every_zone_without_gaps_and_say_what_zones_say() -> None:
    offsets = zone_offsets(date(2026, 10, 31))
    assert set(offsets["zone"]) == set(zone_names())
    assert offsets["since"].min() == datetime(2026, 7, 28)
    assert offsets["until"].max() == datetime(2026, 11, 5)
    follows = (pl.col("since") == pl.col("until").shift()) | (pl.col("zone") != pl.col("zone").shift())
    assert offsets.select(follows.fill_null(value=True).all()).item()
    berlin = offsets.filter(pl.col("zone") == "Europe/Berlin").select("until", "offset_seconds").rows()
    assert berlin == [(datetime(2026, 10, 25, 1), 7200), (datetime(2026, 11, 5), 3600)]
    for name, since, until, seconds in offsets.rows():
        for moment in (since, until - timedelta(seconds=1)):
            assert moment.replace(tzinfo=UTC).astimezone(zone(name)).utcoffset() == timedelta(seconds=seconds)


def test_countries_have_the_zones_that_are_used_in_them() -> None:
    zones = country_zones()
    assert zones.filter(country="DE")["zone"].to_list() == ["Europe/Berlin", "Europe/Busingen"]
    assert zones.filter(country="US").height > 25
    assert set(zones["zone"]) <= set(zone_names())
    with pytest.raises(KeyError):
        zone("Mars/Olympus")


def clock_of(built: Built, customers: list[tuple[str, str | None, str | None]], brand: str) -> dict[str, str]:
    with duckdb.connect(":memory:") as con:
        con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        con.execute("CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA core")
        con.execute("CREATE TABLE core.dim_customers (customer_id VARCHAR, country VARCHAR, timezone VARCHAR)")
        con.executemany("INSERT INTO core.dim_customers VALUES (?, ?, ?)", customers)
        con.execute("CREATE TABLE staging.stg_night__settings (timezone VARCHAR)")
        con.execute("INSERT INTO staging.stg_night__settings VALUES (?)", [brand])
        con.execute("CREATE TABLE staging.stg_night__zone_offsets (zone VARCHAR)")
        con.executemany("INSERT INTO staging.stg_night__zone_offsets VALUES (?)", [[name] for name in zone_names()])
        con.execute("CREATE TABLE staging.stg_night__country_zones (country VARCHAR, zone VARCHAR)")
        con.executemany("INSERT INTO staging.stg_night__country_zones VALUES (?, ?)", country_zones().rows())
        con.execute(f"CREATE VIEW intermediate.int_clocks__composed AS {built.sql('int_clocks__composed')}")
        return dict(con.execute(f"SELECT * FROM ({built.sql('int_customers__clocked')})").fetchall())


def test_ones_own_zone_goes_before_the_country_and_the_country_before_the_brand(toy_night: Built) -> None:
    customers = [
        ("own", "US", "America/Denver"),
        ("older name", "DE", "US/Pacific"),
        ("no such zone", "GB", "Mars/Olympus"),
        ("neither", "XX", "Factory"),
        ("nothing", None, None),
    ]
    assert clock_of(toy_night, customers, "Europe/Berlin") == {
        "own": "zone America/Denver",
        "older name": "zone US/Pacific",
        "no such zone": "country GB",
        "neither": "unknown",
        "nothing": "unknown",
    }


def test_a_text_message_to_somebody_of_whose_time_nothing_is_known_waits(opened: Opened) -> None:
    """Where there are quiet hours for it. Everything else goes by the brand's clock."""
    quiet = (480, 1260)
    for hours, waiting in (({}, set()), ({"sms": quiet}, {"sms"}), ({"email": quiet}, set()), ({None: quiet}, {"sms"})):
        windows = opened(date(2026, 4, 1), [("unknown", "UTC"), ("zone UTC", "UTC")], hours)
        assert {key for key, (_, _, is_open) in windows.items() if not is_open} == {("unknown", to) for to in waiting}
