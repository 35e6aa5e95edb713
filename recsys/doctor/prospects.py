"""What tonight would send over each channel, to how many, and how full its rows would be; read from a rehearsal."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.channel_settings import Channel
from recsys.channels.base import read_decisions
from recsys.channels.kinds import kind_of
from recsys.channels.wording import Wording
from recsys.doctor import targets
from recsys.doctor.finding import Finding, Level
from recsys.doctor.rehearsal import Rehearsal
from recsys.night import Night
from recsys.report.words import STATUS_WORDS, contact_words
from recsys.vocabulary import Status

POOR = 0.5
"""Below this share of filled cells a column is worth a word: templates that rely on it show gaps."""
KEYS = ("channel", "customer_id", "rank")
RARE = ("choices_applied", "reason_about")
"""Columns that are empty for most people by their nature."""


@dataclass(frozen=True)
class Prospect:
    """One channel as the rehearsal left it. `held_back`: status -> customers, most first; `files`: name, bytes."""

    channel: Channel
    recipients: int
    held_back: dict[str, int]
    files: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]


def prospects(asked: Night, rehearsal: Rehearsal, *, reach: bool = False) -> tuple[Prospect, ...]:
    """One per channel of the shop, in its order; none when the rehearsal did not come as far as decisions.

    Targets are contacted only with `reach`, and only for reading.
    """
    if not rehearsal.reached("decide"):
        return ()
    night = rehearsal.night
    decisions = read_decisions(night.decisions, "fct_decisions")
    return tuple(_prospect(asked, rehearsal, channel, decisions, reach=reach) for channel in night.shop.channels)


def _prospect(
    asked: Night, rehearsal: Rehearsal, channel: Channel, decisions: pl.DataFrame, *, reach: bool
) -> Prospect:
    night = rehearsal.night
    ours = decisions.filter(pl.col("channel") == channel.name).group_by("status").len()
    counts: dict[str, int] = dict(ours.sort("len", "status", descending=[True, False]).iter_rows())
    recipients = counts.pop(Status.EXPORTED.value, 0)
    folder = night.files / channel.name
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [
        *targets.findings(asked, channel, tuple(path.name for path in files), recipients, reach=reach),
        *_permission(channel, recipients, counts, night.shop.gate.min_recipients),
    ]
    if recipients:
        found += _filled(night.decisions, channel)
        found += _spoken(night.decisions, channel, Wording(night.shop.reasons))
    return Prospect(
        channel, recipients, counts, tuple((path.name, path.stat().st_size) for path in files), tuple(found)
    )


def _permission(channel: Channel, recipients: int, held_back: dict[str, int], fewest: int) -> list[Finding]:
    if recipients >= max(1, fewest):
        return [Finding("ready", channel.name, f"{recipients:,} recipients.")]
    most = next(iter(held_back), None)
    why = (
        "no customer is known"
        if most is None
        else f"{held_back[most]:,} are held back: {STATUS_WORDS[most][0].lower()}"
    )
    advice = (
        f"Consents for {contact_words(channel.contact_channel)} must say channel {channel.contact_channel}, "
        "purpose marketing, status granted."
        if most == Status.NO_CONSENT
        else STATUS_WORDS[most][1]
        if most
        else ""
    )
    level: Level = "stops" if recipients < fewest else "missing"
    return [Finding(level, channel.name, f"{recipients:,} recipients; {why}.", advice)]


def _filled(decisions: Path, channel: Channel) -> list[Finding]:
    """Columns of the recipients' rows and of their products that are mostly empty."""
    found = []
    for table, of_what in (("recipients", "recipients"), ("items", "products in rows")):
        rows = _exported(decisions, channel, table)
        said = (*channel.carries, *rows.columns) if table == "items" else channel.carries
        empty = rows.select(pl.all().null_count() / pl.len()).row(0, named=True) if rows.height else {}
        found += [
            Finding(
                "missing",
                f"{channel.name}: {column}",
                f"filled for {1 - share:.0%} of {of_what}.",
                "Map the column in the shop file if you have it.",
            )
            for column, share in empty.items()
            if share > 1 - POOR and column in said and column not in KEYS + RARE
        ]
    return found


def _spoken(decisions: Path, channel: Channel, wording: Wording) -> list[Finding]:
    """Languages of recipients in which no reason can be said, where the channel says reasons in them at all."""
    if channel.language is not None or not kind_of(channel.kind).shows_products:
        return []
    languages = _exported(decisions, channel, "recipients").get_column("language").drop_nulls()
    spoken = wording.spoken(languages)
    base = languages.str.to_lowercase().str.split("-").list.first()
    unspoken = languages.filter((spoken == wording.fallback) & (base != wording.fallback))
    if unspoken.is_empty():
        return []
    names = ", ".join(
        unspoken.value_counts(sort=True).sort("count", "language", descending=[True, False])["language"][:5]
    )
    return [
        Finding(
            "note",
            f"{channel.name}: reasons",
            f"{len(unspoken):,} recipients read them in {wording.fallback} instead of their own language ({names}).",
            "Write sentences for it in reasons.templates.",
        )
    ]


def _exported(decisions: Path, channel: Channel, what: str) -> pl.DataFrame:
    return read_decisions(decisions, f"sync_{channel.tables}__{what}").filter(pl.col("channel") == channel.name)
