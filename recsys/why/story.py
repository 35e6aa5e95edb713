"""The whole story of one customer on one night, from what the night's stages left behind. Changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import duckdb

from recsys.channel_settings import Channel
from recsys.config import load_shop
from recsys.database import connect, literal, small_frame
from recsys.errors import ConfigError, NotKnown
from recsys.night import Night
from recsys.report.facts import Facts, attempt, read_facts
from recsys.report.words import contact_words, stage_words
from recsys.why.choices import tell_choices
from recsys.why.delivery import tell_delivery
from recsys.why.history import tell_history, tell_list, tell_rules
from recsys.why.permission import tell_permission

_LIGHTS = {"green": "The night is green.", "red": "The night is red.", "unfinished": "The night is not finished."}


@dataclass(frozen=True)
class Story:
    """Lines to print. `holds` is False when something could not be read, or a file and its decision disagree."""

    lines: tuple[str, ...]
    holds: bool


@dataclass(frozen=True)
class Chapter:
    """One part of a story: the file it needs, the stage that makes this file, and how it is told."""

    title: str
    stage: str
    needed: Path
    tell: Callable[[], list[str]]


def night_asked(shop_file: Path, run_date: date | None = None) -> Night:
    """The night of that date, or the newest that has a folder. Raises NotKnown when there is none."""
    shop = load_shop(shop_file)
    days = sorted(day for folder in (shop.root / "nights").glob("*/") if (day := _day(folder.name)))
    asked = run_date or (days[-1] if days else None)
    if asked in days and asked is not None:
        return Night(shop, asked)
    there = f"nights from {days[0]} to {days[-1]}" if days else "no nights"
    raise NotKnown(
        f"{shop.root}: the night of {asked or 'any date'} is not here; there are {there}. "
        "Choose one of them, or run this one with `recsys night`."
    )


def tell(night: Night, customer: str, channel: str | None = None) -> Story:
    """Tell why one customer got what they got, or nothing, over the shop's channels or over one of them.

    A red or unfinished night is told as far as it came. Raises NotKnown when the night took nothing in or does not
    know the customer, ConfigError for a channel that the shop file does not have.
    """
    channels = _channels(night, channel)
    facts = read_facts(night)
    faults: list[str] = []
    with _opened(night, faults) as con:
        _require_known(con, facts, customer)
        lines = [
            f"Customer {customer}, night of {night.run_date}",
            f"What happened before {night.end:%Y-%m-%d %H:%M} counts. All moments are UTC.",
            " ".join((_LIGHTS[facts.light], *facts.reasons)),
        ]
        if facts.mixes_runs:
            lines.append("Some of this comes from an earlier run of this night.")
        for chapter in _chapters(con, facts, customer, channels, faults):
            lines += ["", chapter.title, *(f"  {line}" for line in _told(chapter, faults))]
    if faults:
        lines += ["", "To be looked into", *(f"  {fault}" for fault in faults)]
    return Story(tuple(_printable(line) for line in lines), not faults)


def _chapters(
    con: duckdb.DuckDBPyConnection, facts: Facts, customer: str, channels: tuple[Channel, ...], faults: list[str]
) -> tuple[Chapter, ...]:
    night = facts.night
    contact_channels = tuple(dict.fromkeys(channel.contact_channel.value for channel in channels))
    products = night.features / "products.parquet"
    decisions = night.decisions / "fct_decisions.parquet"
    return (
        Chapter(
            "Permission",
            "ingest",
            night.raw / "suppressions.parquet",
            partial(tell_permission, con, night, customer, contact_channels),
        ),
        Chapter("History used", "features", products, partial(tell_history, con, night, customer)),
        Chapter("Rules applied", "features", products, partial(tell_rules, con, night, customer)),
        Chapter("Choices applied", "features", products, partial(tell_choices, con, night, customer)),
        Chapter("List", "recommend", night.recommendations, partial(tell_list, con, night, customer)),
        *(
            Chapter(
                f"{channel.name} ({contact_words(channel.contact_channel)})",
                "decide",
                decisions,
                partial(tell_delivery, con, facts, customer, channel, faults),
            )
            for channel in channels
        ),
    )


def _told(chapter: Chapter, faults: list[str]) -> list[str]:
    if not chapter.needed.is_file():
        return [f"Not known: “{stage_words(chapter.stage)}” has left nothing to show for this night."]
    return attempt(faults, f"“{chapter.title}”", chapter.tell) or ["Not known: it cannot be read; see the end."]


@contextmanager
def _opened(night: Night, faults: list[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads below the night's folder, with its database attached as `warehouse` if it is there."""
    with connect(folders=[night.folder]) as con:
        if night.warehouse.is_file():
            attach = f"ATTACH {literal(str(night.warehouse))} AS warehouse (READ_ONLY)"
            attempt(faults, "The night's database", lambda: con.execute(attach))
        yield con


def _require_known(con: duckdb.DuckDBPyConnection, facts: Facts, customer: str) -> None:
    night = facts.night
    customers = night.raw / "customers.parquet"
    if not customers.is_file():
        raise NotKnown(
            f"the night of {night.run_date} knows no customers yet: it has taken nothing in. {' '.join(facts.reasons)}"
        )
    query = "SELECT count(*), count(*) FILTER (customer_id = $customer) FROM read_parquet($customers)"
    try:
        everybody, found = small_frame(con, query, {"customer": customer, "customers": str(customers)}).row(0)
    except duckdb.Error as error:
        raise NotKnown(f"{customers} cannot be read ({type(error).__name__}). Run ingest again.") from None
    if not found:
        raise NotKnown(
            f"this customer is not among the {everybody:,} whom the night of {night.run_date} knows. Ids are compared "
            "letter by letter; a record made after the night's end is not known, nor is one in quarantine."
        )


def _channels(night: Night, channel: str | None) -> tuple[Channel, ...]:
    channels = tuple(it for it in night.shop.channels if channel in {None, it.name})
    if not channels:
        names = ", ".join(it.name for it in night.shop.channels)
        raise ConfigError(f"channel is '{channel}', allowed: {names}.")
    return channels


def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name else None


def _printable(line: str) -> str:
    """Names and ids come from outside: nothing in them may steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
