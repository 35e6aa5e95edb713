"""The stages of a night, by name and in order, and the record that each leaves of how it went."""

import importlib
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

from recsys.config import load_shop
from recsys.delivery.approval import waits
from recsys.delivery.audiences import owner_of
from recsys.erasure.records import require_finished
from recsys.errors import ConfigError, RecsysError
from recsys.files import private_folder, sweep, write_json
from recsys.lock import exclusive
from recsys.manifest import SUCCESS
from recsys.night import Night
from recsys.process import die_with_parent

log = logging.getLogger("recsys")

Counts = dict[str, int | str]

MODULES = {
    "ingest": "recsys.ingest.stage",
    "features": "recsys.features",
    "recommend": "recsys.recommend",
    "decide": "recsys.decide",
    "render": "recsys.channels.render",
    "export": "recsys.export",
    "deliver": "recsys.delivery.stage",
    "evaluate": "recsys.evaluation.stage",
    "publish": "recsys.publish",
    "report": "recsys.report.page",
}
"""Where each stage's `run` is. They differ a lot in what they import, so each is imported when it is its turn."""

STAGES = (
    "ingest",
    "features",
    "recommend",
    "decide",
    "render",
    "gate",
    "export",
    "deliver",
    "evaluate",
    "publish",
    "report",
)
"""The order of a night; export and deliver run once per channel.

The gate belongs to the room `expectations`, which this package does not import."""

PER_CHANNEL = ("export", "deliver")

BEFORE_THE_GATE = STAGES[: STAGES.index("gate")]
"""A verdict is about what these stages made, so it ends when one of them begins."""

NOT_WAITED_FOR = ("deliver", "evaluate")
"""Where a delivery or the measurement fails the stages after it run, and the night has failed all the same."""


def open_night(shop_file: Path | str, run_date: date | str) -> Night:
    """The night of a shop file and a date. Raises ConfigError for a wrong shop file or a date that is none."""
    try:
        day = run_date if isinstance(run_date, date) else date.fromisoformat(run_date)
    except ValueError:
        raise ConfigError(f"run_date is {run_date!r}, allowed: a date such as 2026-08-31.") from None
    return Night(load_shop(shop_file), day)


def work_of(stage: str, channel: str | None = None) -> Callable[[Night], Counts]:
    """The function that does a stage's work. Raises ConfigError for a stage that is none of `MODULES`."""
    if stage not in MODULES:
        raise ConfigError(
            f"stage is {stage!r}, allowed: {', '.join(MODULES)}; for the gate: python -m expectations.gate"
        )
    run = importlib.import_module(MODULES[stage]).run
    if stage in PER_CHANNEL:
        if channel is None:
            raise ConfigError(f"the stage {stage} needs a channel")
        return partial(run, channel=channel)
    return run  # type: ignore[no-any-return]


def record(night: Night, stage: str, work: Callable[[Night], Counts]) -> Counts:
    """Do a stage's work while holding the data root, and leave `stages/<stage>.json` however it ends.

    The record holds seconds, the process's peak memory in MiB, the counts and, after a failure, the error's text
    (of our own errors only: a foreign one's may quote data).
    """
    started = perf_counter()
    path = night.stages / f"{stage}.json"
    entry = {"stage": stage, "status": "failed", "counts": {}, "error": "", "seconds": 0.0, "peak_mib": 0}
    try:
        with exclusive(night.shop.root):
            require_finished(night.shop.root)
            if stage == "ingest":
                sweep(night.shop.root)
                for earlier in night.stages.glob("*.json"):
                    earlier.unlink()
            if stage in BEFORE_THE_GATE:
                night.verdict.unlink(missing_ok=True)
            log.info("%-10s started", stage)
            counts = work(night)
        entry |= {"status": "done", "counts": counts}
    except RecsysError as error:
        entry["error"] = str(error)
        raise
    except Exception as error:
        entry["error"] = f"{type(error).__name__}; see the log of this stage"
        raise
    finally:
        entry["seconds"] = round(perf_counter() - started, 2)
        entry["peak_mib"] = _peak_mib()
        write_json(path, entry)
        log.info("%-10s %s after %.1f s", stage, entry["status"], entry["seconds"])
    return counts


def _peak_mib() -> int:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) // 1024


def run_night(shop_file: Path, run_date: date, progress: Callable[[str], None]) -> bool:
    """Run every stage of a night without Airflow, each in a process of its own; True when all of them passed.

    A delivery that fails keeps nothing else back, nor does one that waits for an approval. The report is written
    however the night went. The processes end when this one does.
    """
    night = open_night(shop_file, run_date)
    private_folder(night.shop.root)

    def leaving(stage: str) -> list[str]:
        every: list[str] = importlib.import_module(MODULES[stage]).channels(night)
        waiting = [name for name in every if stage == "deliver" and waits(night, name)]
        for name in waiting:
            command = f"recsys approve {shop_file} {run_date} --channel {owner_of(night, name)}"
            progress(f"{f'deliver {name}':<24} waits for `{command}`, then `recsys redeliver {shop_file} {run_date}`")
        return [name for name in every if name not in waiting]

    return _in_order(shop_file, run_date, leaving, progress)


def rebuild_night(shop_file: Path, run_date: date, progress: Callable[[str], None]) -> bool:
    """Make a published night's data again from the inputs it had; True when every stage passed.

    What was published stays: only channels that have their files are exported again, which changes nothing after an
    erasure; and nothing is delivered. Each stage runs in a process of its own. The report is written however it went.
    """
    night = open_night(shop_file, run_date)

    def kept(stage: str) -> list[str]:
        every: list[str] = importlib.import_module(MODULES[stage]).channels(night)
        return [name for name in every if stage == "export" and (night.audience(name) / SUCCESS).is_file()]

    return _in_order(shop_file, run_date, kept, progress, quiet=True)


def _in_order(
    shop_file: Path,
    run_date: date,
    channels: Callable[[str], list[str]],
    progress: Callable[[str], None],
    *,
    quiet: bool = False,
) -> bool:
    """Run every stage, those of PER_CHANNEL once for each of its `channels`; True when all of them passed."""
    passed = goes_on = True
    for stage in STAGES[:-1]:
        each: list[str | None] = [None]
        if stage in PER_CHANNEL:
            each = [*channels(stage)] if goes_on else []
        for channel in each:
            done = goes_on and _in_process(shop_file, run_date, stage, channel, progress, quiet=quiet)
            passed = passed and done
            goes_on = done or (goes_on and stage in NOT_WAITED_FOR)
    return _in_process(shop_file, run_date, "report", None, progress, quiet=quiet) and passed


def tell_again(shop_file: Path, run_date: date, progress: Callable[[str], None]) -> bool:
    """Bring the analysts' database and the page of a published night up to date; True when both are.

    A night of which an erasure has left nothing but what was published is told as it is.
    """
    if not open_night(shop_file, run_date).verdict.is_file():
        return True
    told = [_in_process(shop_file, run_date, stage, None, progress, quiet=True) for stage in ("publish", "report")]
    return all(told)


def _in_process(
    shop_file: Path,
    run_date: date,
    stage: str,
    channel: str | None,
    progress: Callable[[str], None],
    *,
    quiet: bool = False,
) -> bool:
    """Run a stage; True when it passed. `quiet` keeps its counts off the screen; what it logs is shown."""
    arguments = [str(shop_file), run_date.isoformat()]
    if stage == "gate":
        command = [sys.executable, "-m", "expectations.gate", *arguments]
    else:
        command = [sys.executable, "-m", "recsys.cli", "stage", stage, *arguments]
        if channel is not None:
            command += ["--channel", channel]
    name = stage if channel is None else f"{stage} {channel}"
    started = perf_counter()
    done = subprocess.run(
        command,
        check=False,
        preexec_fn=die_with_parent,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL if quiet else None,
    )
    progress(f"{name:<24} {'done' if done.returncode == 0 else 'FAILED'} after {perf_counter() - started:.1f} s")
    return done.returncode == 0


def printable(counts: Counts) -> str:
    """Counts as one line of JSON."""
    return json.dumps(counts, ensure_ascii=False)
