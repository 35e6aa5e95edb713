"""The audience page: one static HTML file that tells a marketer who gets what and why, and whether the night was sound.

No script, no network, no personal data but customer_id. The same night makes the same page, but for the seconds.
"""

import re
from functools import partial
from importlib.resources import files
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined

from recsys.audit import Check
from recsys.channels.check_in import CHECK_IN
from recsys.channels.kinds import kind_of
from recsys.delivery.record_errors import shown_path
from recsys.files import replace_file
from recsys.manifest import MANIFEST
from recsys.night import Night
from recsys.report.audience import Audience, read_audience
from recsys.report.examples import Example, choose_examples
from recsys.report.facts import CATALOGUE, Facts, attempt, channels_of, read_facts, stages_of
from recsys.report.words import (
    ABSENT_WORDS,
    IMPORT_WORDS,
    OUTCOME_WORDS,
    QUESTION_WORDS,
    SOURCE_WORDS,
    STATUS_WORDS,
    contact_words,
    departure_words,
    stage_words,
)
from recsys.report.worth import Worth, interval, read_worth
from recsys.vocabulary import Status

TEMPLATE = "audience_page.html.j2"
MOST_BAD = 10


def run(night: Night) -> dict[str, int | str]:
    """Write `page/index.html` for a night in whatever state it is; its light and where it lies."""
    facts, audience = read_audience(read_facts(night).without("report"))
    facts, worth = read_worth(facts)
    problems: list[str] = []
    examples = audience and attempt(problems, "The example customers", partial(choose_examples, night))
    bad_rows = attempt(problems, "The quarantine", partial(_bad_rows, night))
    facts = facts.with_problems(problems)
    text = _render(facts, audience, worth, examples or (), bad_rows or [])
    replace_file(night.page, lambda aside: aside.write_text(text, encoding="utf-8"))
    return {
        "light": facts.light,
        "page": night.page.relative_to(night.shop.root).as_posix(),
        "problems": len(facts.problems),
    }


def _bad_rows(night: Night) -> list[tuple[Any, ...]]:
    """The most frequent reasons for bad rows: table, column, reason, rows."""
    path = night.raw / "quarantine.parquet"
    if not path.is_file():
        return []
    grain = ["table_name", "column_name", "reason"]
    counted = pl.scan_parquet(path).group_by(grain).agg(pl.len().alias("rows"))
    return counted.sort(["rows", *grain], descending=[True, False, False, False]).head(MOST_BAD).collect().rows()


def _render(
    facts: Facts,
    audience: Audience | None,
    worth: Worth | None,
    examples: tuple[Example, ...],
    bad_rows: list[tuple[Any, ...]],
) -> str:
    """The page as HTML. Parts whose stage has not run say so instead."""
    night = facts.night
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, share=share, width=width, size=size, count=count, stage_words=stage_words)
    environment.filters.update(contact_words=contact_words, departure_words=departure_words, said=said)
    environment.filters.update(interval=interval)
    template = environment.from_string((files("recsys.report") / TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        facts=facts,
        night=night,
        shop=night.shop,
        audience=audience,
        worth=worth,
        examples=examples,
        failed_checks=[check for check in facts.checks if not check.passed],
        suites=_suites(facts),
        channels=channels_of(night),
        kinds={channel.name: channel.kind for channel in night.shop.channels}
        | {f"{CHECK_IN}{channel.name}": "check_in" for channel in night.shop.channels}
        | {CATALOGUE: CATALOGUE},
        stages={record.stage: record for record in facts.stages},
        order=stages_of(night),
        bad_rows=bad_rows,
        slowest=max((record.seconds for record in facts.stages), default=0.0),
        manifest=MANIFEST,
        status_words=STATUS_WORDS,
        source_words=SOURCE_WORDS,
        absent_words=ABSENT_WORDS,
        import_words={channel.kind: kind_of(channel.kind).steps for channel in night.shop.channels} | IMPORT_WORDS,
        leaving_words={channel.name: kind_of(channel.kind).leaving for channel in night.shop.channels},
        question_words=QUESTION_WORDS,
        outcome_words=OUTCOME_WORDS,
        error_paths={name: shown_path(night, name) for name in facts.refused},
        exported=Status.EXPORTED.value,
    )


def number(value: float) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; never 0 % or 100 % unless it is exactly that."""
    if not whole:
        return "n/a"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.1f} %" if part not in {0, whole} else f"{percent:.0f} %"


def width(part: float, whole: float) -> str:
    """Length of a bar in per cent of its track; what is there at all is visible."""
    return f"{max(100 * part / whole, 0.5 if part else 0):.1f}%" if whole else "0%"


def size(value: int) -> str:
    """Bytes for people."""
    if value < 1024:
        return f"{value} bytes"
    return f"{value / 1024:,.1f} KiB" if value < 1024**2 else f"{value / 1024**2:,.1f} MiB"


def count(value: int, one: str, many: str | None = None) -> str:
    """`1 customer`, `2 customers`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def said(name: str) -> str:
    """A name such as `not_a_number` as words; anything that is no such name, a path for one, stays as it is."""
    return name.replace("_", " ") if re.fullmatch(r"[a-z0-9_]+", name) else name


def _suites(facts: Facts) -> dict[str, list[Check]]:
    """Checks by suite: suites with failures first, and failures first within them."""
    suites: dict[str, list[Check]] = {}
    for check in facts.checks:
        suites.setdefault(check.suite, []).append(check)
    return suites
