"""The publisher under faults: killed, out of disk or overtaken at every one of its steps. No polars here, so that
forking is safe; `python tests/publisher_faults.py FOLDER` prints what was found as JSON.

A step is one call to the operating system by the publisher, its lock or its manifest reader.
"""

import errno
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from recsys import lock, manifest, publisher
from recsys.audit import AuditedFile
from recsys.config import load_shop
from recsys.errors import CannotPublish, RecsysError, Transient
from recsys.lock import Attempt
from recsys.manifest import Published, read_published
from recsys.night import Night
from recsys.publisher import Outgoing, publish, start_attempt

CHANNEL = "email_file"
NAMES = ["_SUCCESS", "manifest.json", "one.csv", "one.csv.sha256", "two.csv", "two.csv.sha256"]
YESTERDAY, TODAY = date(2026, 3, 30), date(2026, 3, 31)
SHOP = """\
shop: toy
currency: EUR
data_root: data
tables:
  customers: {format: parquet, files: [c], columns: {customer_id: c}}
  products: {format: parquet, files: [p], columns: {product_id: p, name: p}}
  order_lines:
    {format: parquet, files: [o], columns: {order_id: o, customer_id: o, product_id: o, quantity: o, ordered_at: o}}
channels:
  - {name: email_file, kind: email_file}
"""
STEPS = frozenset(
    {"open", "mkdir", "write", "pwrite", "fsync", "rename", "unlink", "fchmod", "fstat", "listdir", "read", "pread"}
)


def night_below(folder: Path, run_date: date = TODAY) -> Night:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.yaml").write_text(SHOP)
    return Night(load_shop(folder / "shop.yaml"), run_date)


def outgoing(night: Night, rows: int = 3, who: str = "a") -> list[Outgoing]:
    """Two finished files with a verdict, as the export stage would hand them over; `who` is in every row."""
    files = []
    for part in ("one", "two"):
        path = night.files / who / f"{part}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b'"customer_id"\n' + b"".join(b'"%s%d"\n' % (who.encode(), row) for row in range(rows))
        path.write_bytes(content)
        audited = AuditedFile(path, hashlib.sha256(content).hexdigest(), night.run_date)
        files.append(Outgoing(audited, rows, ("customer_id",)))
    return files


def attempt_at(night: Night) -> Attempt:
    return start_attempt(night, CHANNEL)


def publish_once(night: Night, files: list[Outgoing], attempt: Attempt | None = None) -> Published:
    attempt = attempt or attempt_at(night)
    return publish(night, CHANNEL, files, model_version="als-1", checks_passed=9, attempt=attempt)


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and mode."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Steps:
    """Stands in for the module `os`: counts the steps, and calls `fault` in place of the chosen one."""

    def __init__(self, at: int = 0, fault: Callable[..., Any] | None = None, lasts: bool = False) -> None:
        self.at, self.fault, self.lasts = at, fault, lasts
        self.taken: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = []
        self.is_off = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in STEPS or self.is_off:
            return real

        def step(*args: Any, **kwargs: Any) -> Any:
            self.taken.append((name, args, kwargs, None))
            number = len(self.taken)
            if self.fault and (number == self.at or (self.lasts and number > self.at)):
                result = self.fault(name, real, args, kwargs)
            else:
                result = real(*args, **kwargs)
            self.taken[number - 1] = (name, args, kwargs, result)
            return result

        return step


@contextmanager
def stepping(steps: Steps, *modules: Any) -> Iterator[Steps]:
    """Let the publisher (and what it stands on) take its steps through `steps`."""
    modules = modules or (publisher, manifest, lock)
    for module in modules:
        module.os = steps
    try:
        yield steps
    finally:
        for module in modules:
            module.os = os


def die(name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_halfway(name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Killed with half of a write on disk."""
    if name == "write":
        real(args[0], args[1][: len(args[1]) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int, names: frozenset[str]) -> Callable[..., Any]:
    def fail(name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in names:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    return fail


def write_short(name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A write that takes fewer bytes than it was given, which is no error."""
    return real(args[0], args[1][: max(1, len(args[1]) // 3)]) if name == "write" else real(*args, **kwargs)


NEEDS_SPACE = frozenset({"open", "mkdir", "write", "pwrite", "fsync", "rename"})
KILLS = {"killed": die, "killed in the middle of a write": die_halfway}
FAILURES = {
    "disk full once": (failing(errno.ENOSPC, NEEDS_SPACE), False),
    "disk full from then on": (failing(errno.ENOSPC, NEEDS_SPACE), True),
    "i/o error once": (failing(errno.EIO, STEPS), False),
    "i/o errors from then on": (failing(errno.EIO, STEPS - {"unlink"}), True),
    "write that takes a part": (write_short, False),
}
ONLY_WRITES = {"killed in the middle of a write", "write that takes a part"}


@dataclass
class Findings:
    steps: int = 0
    trials: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def names_of_steps(folder: Path) -> list[str]:
    """The steps of a publish that nothing disturbs."""
    night = night_below(folder)
    files = outgoing(night)
    with stepping(Steps()) as steps:
        publish_once(night, files)
    return [name for name, *_ in steps.taken]


def every_fault(folder: Path, every: int) -> Findings:
    """Each fault at each step, or each `every`th, then the same one at that step of the next attempt, then a clean one.

    After every one of them the day is either not published at all or published whole, and the day before is untouched.
    """
    manifest._CHUNK = 16  # so that a small file is written in several steps
    steps = names_of_steps(folder / "count")
    findings = Findings(steps=len(steps))
    expected = tree(night_below(folder / "count").published)
    faults = {**dict.fromkeys(KILLS), **FAILURES}
    for name in faults:
        findings.trials[name] = 0
        for at, step in [*enumerate(steps, start=1)][::every]:
            if name in ONLY_WRITES and step != "write":
                continue
            findings.trials[name] += 1
            below = folder / f"{name} {at}"
            night, before = night_below(below), night_below(below, YESTERDAY)
            publish_once(before, outgoing(before, rows=2))
            untouched = tree(before.audience(CHANNEL))
            for trial in ("first", "second"):
                trouble = _killed(night, name, at) if name in KILLS else _failed(night, name, at)
                trouble = trouble or _illegal(night, expected)
                if trouble:
                    findings.wrong.append(f"{name}, step {at}, {trial} time: {trouble}")
            publish_once(night, outgoing(night))
            if tree(night.audience(CHANNEL)) != _below(expected, TODAY):
                findings.wrong.append(f"{name}, step {at}: the clean attempt left something else")
            if tree(before.audience(CHANNEL)) != untouched:
                findings.wrong.append(f"{name}, step {at}: the day before was touched")
    return findings


def _below(expected: dict[str, tuple[bytes, int]], run_date: date) -> dict[str, tuple[bytes, int]]:
    start = f"audiences/{CHANNEL}/{run_date.isoformat()}/"
    return {name.removeprefix(start): content for name, content in expected.items() if name.startswith(start)}


def _killed(night: Night, name: str, at: int) -> str:
    child = os.fork()
    if child == 0:
        try:
            files = outgoing(night)
            with stepping(Steps(at, KILLS[name])):
                publish_once(night, files)
            os._exit(0)  # the second attempt may need fewer steps
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return "" if ended in {0, -signal.SIGKILL} else f"ended with {ended}"


def _failed(night: Night, name: str, at: int) -> str:
    fault, lasts = FAILURES[name]
    files = outgoing(night)
    with stepping(Steps(at, fault, lasts)):
        try:
            publish_once(night, files)
        except CannotPublish as error:
            return "" if "disk full" in name and "free space" in str(error) else f"CannotPublish: {error}"
        except Transient as error:
            return "" if "i/o" in name else f"Transient: {error}"
        except RecsysError as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _illegal(night: Night, expected: dict[str, tuple[bytes, int]]) -> str:
    """What a reader who waits for `_SUCCESS` must never see."""
    folder = night.audience(CHANNEL)
    if not folder.exists() or read_published(folder) is None:
        return ""
    visible = {name: content for name, content in tree(folder).items() if not name.startswith(".")}
    return "" if visible == _below(expected, TODAY) else "something partial behind _SUCCESS"


def every_takeover(folder: Path) -> dict[str, int]:
    """A second attempt with other bytes publishes in the middle of the first one, at each of its steps in turn.

    How the first one ended, and how often: fenced, or it found the day published, or it had published it already.
    Not while the first one holds the attempt's lock (rename, unlink): there the second one has to wait.
    """
    ends: dict[str, int] = {}
    for at in range(1, len(names_of_steps(folder / "count")) + 1):
        night = night_below(folder / str(at))
        steps, second = Steps(at), []

        def take_over(
            name: str,
            real: Any,
            args: Any,
            kwargs: Any,
            steps: Steps = steps,
            night: Night = night,
            second: Any = second,
        ) -> Any:
            if name not in {"rename", "unlink"}:
                steps.is_off = True
                second.append(_outcome(night, "b"))
            return real(*args, **kwargs)

        steps.fault = take_over
        with stepping(steps, publisher):
            first = _outcome(night, "a")
        if second:
            winner = who_published(night)
            legal = {
                "b": {("Fenced", "published"), ("AlreadyPublished", "published")},
                "a": {("published", "AlreadyPublished")},
            }
            assert (first, *second) in legal[winner], f"step {at}: {first}, {second}, and {winner} is published"
            ends[first] = ends.get(first, 0) + 1
    return ends


def _outcome(night: Night, who: str) -> str:
    try:
        publish_once(night, outgoing(night, who=who))
    except RecsysError as error:
        return type(error).__name__
    return "published"


def who_published(night: Night) -> str:
    """Whose files lie under the final names: whole, of one attempt, and with nothing else beside them."""
    folder = night.audience(CHANNEL)
    assert read_published(folder) is not None
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    [who] = {chr((folder / f"{part}.csv").read_bytes().splitlines()[1][1]) for part in ("one", "two")}
    return who


if __name__ == "__main__":
    found = every_fault(Path(sys.argv[1]), every=int(sys.argv[2]))
    print(json.dumps({"steps": found.steps, "trials": found.trials, "wrong": found.wrong}))
