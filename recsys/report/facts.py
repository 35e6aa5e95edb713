"""The state of a night, read from whatever its stages left behind: finished, red, or half done.

Nothing here is required to exist: what is missing is named, what cannot be read is a problem, and both are shown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.channels.check_in import CHECK_IN
from recsys.delivery import audiences as delivered
from recsys.delivery.apis import for_a_person
from recsys.delivery.approval import waits
from recsys.delivery.journal import Entry, Journal, Outcome
from recsys.delivery.record_errors import read_errors
from recsys.errors import RecsysError
from recsys.files import read_json
from recsys.manifest import Published, read_published
from recsys.night import Night
from recsys.pipeline import NOT_WAITED_FOR
from recsys.report.words import stage_words

CATALOGUE = "catalogue"
Light = Literal["green", "red", "unfinished"]
T = TypeVar("T")


class StageRecord(BaseModel):
    """What the runner wrote about one stage."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: str
    seconds: float
    peak_mib: float | None = None
    status: Literal["done", "failed"]
    counts: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None


class SourceFileRecord(BaseModel):
    """What ingest wrote about one source file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str
    rows: int
    bad_rows: int = 0
    skipped_rows: dict[str, int] = Field(default_factory=dict)
    is_new: bool = False


class TableRecord(BaseModel):
    """What ingest wrote about one input table."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    present: bool
    rows: int
    files: tuple[SourceFileRecord, ...] = ()

    @property
    def new_files(self) -> int:
        return sum(file.is_new for file in self.files)

    @property
    def bad_rows(self) -> int:
        return sum(file.bad_rows for file in self.files)

    @property
    def skipped(self) -> dict[str, int]:
        """Rows left out on purpose, per condition of the shop file, most first."""
        names = {name for file in self.files for name in file.skipped_rows}
        totals = {name: sum(file.skipped_rows.get(name, 0) for file in self.files) for name in names}
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class Facts:
    """What is known about a night. `problems` are sentences about files that could not be read."""

    night: Night
    stages: tuple[StageRecord, ...]
    tables: dict[str, TableRecord]
    verdict: Verdict | None
    published: dict[str, Published]
    deliveries: dict[str, tuple[Entry, ...]]
    """Per audience that is delivered: what its journal says of every part; nothing before the first attempt."""
    refused: dict[str, int]
    """Per audience how many records its tool refused, where it refused any."""
    by_hand: dict[str, tuple[str, ...]]
    """Per audience of a channel that is delivered to an API: its published files that the API does not take."""
    customers: int | None
    problems: tuple[str, ...]

    def with_problems(self, problems: Iterable[str]) -> "Facts":
        """The same facts, and that something more could not be read."""
        return replace(self, problems=(*self.problems, *problems))

    def without(self, stage: str) -> "Facts":
        """The same facts, but for what an earlier run of the stage that asks has left."""
        return replace(self, stages=tuple(record for record in self.stages if record.stage != stage))

    @property
    def missing(self) -> tuple[str, ...]:
        """Stages that have not run, in the order of the night; not deliveries with nothing left to deliver."""
        done = {record.stage for record in self.stages} | {
            f"deliver.{name}" for name in self.deliveries if self._over(name)
        }
        return tuple(stage for stage in stages_of(self.night) if stage not in done)

    def _over(self, name: str) -> bool:
        """Whether nothing of an audience is delivered any more: rows were erased since, or all of it has arrived."""
        entries, published = self.deliveries[name], self.published.get(name)
        arrived = bool(entries) and all(it.outcome in {Outcome.ACKNOWLEDGED, Outcome.DECLINED} for it in entries)
        return arrived or bool(published and published.manifest.redacted)

    @property
    def failed(self) -> tuple[StageRecord, ...]:
        return tuple(record for record in self.stages if record.status == "failed")

    @property
    def not_published(self) -> tuple[str, ...]:
        """Channels, and the catalogue, without files under a final name."""
        return tuple(channel for channel in channels_of(self.night) if channel not in self.published)

    @property
    def waits_for_approval(self) -> tuple[str, ...]:
        """Published audiences that a person has to approve, exactly as they are, before they leave."""
        return tuple(name for name in self.deliveries if name in self.published and waits(self.night, name))

    @property
    def in_doubt(self) -> tuple[tuple[str, str], ...]:
        """Audience and part of everything of which nobody knows whether it arrived."""
        return tuple(
            (name, entry.part)
            for name, entries in self.deliveries.items()
            for entry in entries
            if entry.outcome is Outcome.IN_DOUBT
        )

    @property
    def mixes_runs(self) -> bool:
        """A stage failed, and later ones have results: those were made by an earlier run of this night.

        A delivery or a measurement that fails keeps nothing back.
        """
        ran = [it.status for it in self.stages if it.stage.partition(".")[0] not in {*NOT_WAITED_FOR, "report"}]
        return "failed" in ran and "done" in ran[ran.index("failed") :]

    @property
    def light(self) -> Light:
        """Green only when every stage is done, the gate is green, all files left, and everything could be read."""
        if self.failed or self.problems or self.in_doubt or (self.verdict is not None and not self.verdict.is_green):
            return "red"
        return "unfinished" if self.missing or self.not_published or self.verdict is None else "green"

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks of the gate, those that failed first, critical ones before warnings."""
        checks = self.verdict.checks if self.verdict else ()
        return tuple(sorted(checks, key=lambda it: (it.passed, it.severity, it.suite, it.check)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the light is not green, in sentences; empty when it is."""
        stopped = [f"“{stage_words(record.stage)}” stopped." for record in self.failed]
        failures = self.verdict.failures if self.verdict else ()
        red = [f"A check failed: {check.suite}: {check.check}." for check in failures]
        doubts = [f"Nobody knows whether {part} of {name} arrived." for name, part in self.in_doubt]
        waiting = [f"{name} waits for a person's approval." for name in self.waits_for_approval]
        left = [stage for stage in self.missing if stage.removeprefix("deliver.") not in self.waits_for_approval]
        undone = [f"Not done: {', '.join(stage_words(stage) for stage in left)}."] if left else []
        kept = [] if self.missing else [f"No file of {channel} has left." for channel in self.not_published]
        return (*stopped, *red, *self.problems, *doubts, *waiting, *undone, *kept)


def stages_of(night: Night) -> tuple[str, ...]:
    """The stages of a whole night before its report, in order."""
    exports = (f"export.{channel}" for channel in channels_of(night))
    delivers = (f"deliver.{channel}" for channel in delivered.channels(night))
    return ("ingest", "features", "recommend", "decide", "render", "gate", *exports, *delivers, "evaluate", "publish")


def channels_of(night: Night) -> tuple[str, ...]:
    """What leaves: the shop's channels, then the check-ins of those that ask, then the catalogue."""
    return tuple(channel.name for channel in render.channels_of(night.shop))


def attempt(problems: list[str], what: str, read: Callable[[], T]) -> T | None:
    """The result of `read`, or None and one more problem when it cannot be read. Values never reach the problem."""
    try:
        return read()
    except RecsysError as error:
        problems.append(f"{what} cannot be trusted: {error}")
    except (OSError, ValueError, KeyError, TypeError, duckdb.Error, pl.exceptions.PolarsError) as error:
        problems.append(f"{what} cannot be read ({type(error).__name__}).")
    return None


def read_facts(night: Night) -> Facts:
    """Everything that can be known about a night; never fails because something is missing or broken."""
    problems: list[str] = []
    records = [
        attempt(problems, f"stages/{path.name}", partial(_stage, path)) for path in sorted(night.stages.glob("*.json"))
    ]
    order = {stage: position for position, stage in enumerate((*stages_of(night), "report"))}
    stages = [record for record in records if record is not None and record.stage in order]
    published = {
        channel: attempt(problems, channel, partial(read_published, night.audience(channel)))
        for channel in channels_of(night)
    }
    deliveries = {
        channel: attempt(problems, f"The journal of {channel}", partial(_journal, night, channel))
        for channel in delivered.channels(night)
    }
    refused = {
        channel: attempt(problems, f"The errors of {channel}", partial(_refused, night, channel))
        for channel in deliveries
    }
    return Facts(
        night=night,
        stages=tuple(sorted(stages, key=lambda record: order[record.stage])),
        tables=attempt(problems, "inputs.json", partial(_tables, night)) or {},
        verdict=attempt(problems, "The gate's verdict", partial(_verdict, night)),
        published={channel: found for channel, found in published.items() if found},
        deliveries={channel: found or () for channel, found in deliveries.items()},
        refused={channel: records for channel, records in refused.items() if records},
        by_hand=_by_hand(night, published),
        customers=attempt(problems, "raw/customers.parquet", partial(_rows, night.raw / "customers.parquet")),
        problems=tuple(problems),
    )


def _stage(path: Path) -> StageRecord:
    return StageRecord(**read_json(path))


def _journal(night: Night, channel: str) -> tuple[Entry, ...]:
    return Journal.open(night, channel).entries


def _refused(night: Night, channel: str) -> int:
    return read_errors(night, channel).select("customer_id", "part").unique().height


def _by_hand(night: Night, published: dict[str, Published | None]) -> dict[str, tuple[str, ...]]:
    """A check-in belongs to no API at all."""
    found = {}
    for channel in night.shop.channels:
        if channel.deliver is None or channel.deliver.api is None:
            continue
        for name in (channel.name, f"{CHECK_IN}{channel.name}"):
            there = published.get(name)
            files = tuple(file.file for file in there.manifest.files) if there else ()
            left = for_a_person(name, files, f".{channel.format}") if name == channel.name else files
            found[name] = tuple(left)
    return {name: files for name, files in found.items() if files}


def _verdict(night: Night) -> Verdict | None:
    return Verdict.read(night.verdict) if night.verdict.exists() else None


def _tables(night: Night) -> dict[str, TableRecord]:
    if not night.inputs.is_file():
        return {}
    return {name: TableRecord(**table) for name, table in read_json(night.inputs)["tables"].items()}


def _rows(path: Path) -> int | None:
    if not path.is_file():
        return None
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
