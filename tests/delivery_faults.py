"""Deliveries that are killed at every one of their steps. No polars here, so that forking is safe.

A step is a line of the journal, or one thing asked of a target. Killed before it, after it, and, where bytes are
written, with half of them there.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from publisher_faults import CHANNEL, SHOP, TODAY, outgoing, publish_once

from recsys.config import load_shop
from recsys.delivery import journal as journals
from recsys.delivery.journal import Journal, Outcome
from recsys.delivery.redeliver import redeliver
from recsys.delivery.stage import run
from recsys.delivery.targets import Target
from recsys.errors import CannotDeliver, DeliveryInDoubt, RecsysError, Transient
from recsys.night import Night

MARKER = f"{CHANNEL}_{TODAY:%Y%m%d}.manifest.json"
DELIVERED = ("one.csv", "two.csv", MARKER)


def night_with_target(folder: Path, to: str, connection: str = "", **options: Any) -> Night:
    """A published night whose channel is delivered to a URL."""
    folder.mkdir(parents=True, exist_ok=True)
    named = f", connection: {connection}" if connection else ""
    more = "".join(f", {name}: {json.dumps(value)}" for name, value in options.items())
    shop = SHOP.replace("kind: email_file}", f"kind: email_file, deliver: {{to: '{to}'{named}{more}}}}}")
    (folder / "shop.yaml").write_text(shop)
    night = Night(load_shop(folder / "shop.yaml"), TODAY)
    publish_once(night, outgoing(night))
    return night


class Inbox:
    """The company's side of a local folder, where a tool may take files away; it remembers what it took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def lying(self) -> list[str]:
        """The files that a tool would see."""
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    def take(self) -> None:
        """Take what a tool looks for."""
        for name in self.lying():
            self.taken.append(name)
            (self.folder / name).unlink()


class Killing:
    """Counts steps, and kills this process before, after or in the middle of the chosen one."""

    def __init__(self, at: int = 0, when: str = "") -> None:
        self.at, self.when = at, when
        self.taken: list[str] = []

    def around(self, name: str, real: Callable[..., Any], half: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            self.taken.append(name)
            chosen = len(self.taken) == self.at
            if chosen and self.when == "halfway" and half:
                half(*args)
            if chosen and self.when in {"before", "halfway"}:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if chosen and self.when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step


def _half_a_line(journal: Journal, entry: Any) -> None:
    line = entry.model_dump_json().encode()
    journal.path.parent.mkdir(parents=True, exist_ok=True)
    with journal.path.open("ab") as stream:
        stream.write(line[: len(line) // 2])


@contextmanager
def killing(steps: Killing, half_a_file: Callable[..., Any] | None = None) -> Iterator[Killing]:
    """Let a delivery take its steps through `steps`."""
    patched = [(Journal, "_write", _half_a_line)]
    for kind in (Target, *Target.__subclasses__()):
        patched += [(kind, name, half_a_file if name == "upload" else None) for name in ("find", "upload", "rename")]
    patched = [(kind, name, half) for kind, name, half in patched if name in vars(kind)]
    real = {(kind, name): vars(kind)[name] for kind, name, _ in patched}
    for kind, name, half in patched:
        setattr(kind, name, steps.around(f"{kind.__name__}.{name}", real[kind, name], half))
    try:
        yield steps
    finally:
        for (kind, name), function in real.items():
            setattr(kind, name, function)


def half_a_local_file(target: Target, source: Path, name: str) -> None:
    content = source.read_bytes()
    (Path(target.folder) / name).write_bytes(content[: len(content) // 2])


@dataclass
class Findings:
    steps: list[str] = field(default_factory=list)
    trials: int = 0
    in_doubt: int = 0
    wrong: list[str] = field(default_factory=list)


def every_kill(
    make: Callable[[str], tuple[Night, Any]],
    half: Callable[..., Any] | None = half_a_local_file,
    whens: tuple[str, ...] = ("before", "after", "halfway"),
    every: int = 1,
    *,
    renames: bool = True,
) -> Findings:
    """Kill a delivery at each step, let a tool take what lies there or not, then deliver again until nothing changes.

    Nothing may arrive twice; what is acknowledged has arrived; what is not in doubt arrives in the end; and in doubt is
    only what was taken between its naming and the note of it. Without renaming nobody can tell the upload that never
    began from the object that is gone.
    """
    findings = Findings()
    night, _ = make("count")
    status = _in_child(lambda: _count(night))
    assert status == 0, status
    findings.steps = json.loads((night.shop.root / "steps.json").read_text())
    for at in range(1, len(findings.steps) + 1, every):
        for when in whens:
            for takes in (False, True):
                findings.trials += 1
                name = f"{findings.steps[at - 1]} ({at}), {when}, {'taken' if takes else 'left'}"
                night, inbox = make(f"{at}-{when}-{takes}")
                status = _in_child(lambda night=night, at=at, when=when: _killed(night, at, when, half))
                if status not in {-signal.SIGKILL, 0}:
                    findings.wrong.append(f"{name}: ended with {status}")
                if takes:
                    inbox.take()
                status = _in_child(lambda night=night: _retried(night))
                if status != 0:
                    findings.wrong.append(f"{name}: the retry ended with {status}")
                _judge(night, inbox, name, findings, renames=renames)
    return findings


def _judge(night: Night, inbox: Any, name: str, findings: Findings, *, renames: bool) -> None:
    arrived = [*inbox.taken, *inbox.lying()]
    if len(arrived) != len(set(arrived)):
        findings.wrong.append(f"{name}: twice: {arrived}")
    known = journals.outcome(night, CHANNEL)
    doubtful = [part for part, outcome in known.items() if outcome is Outcome.IN_DOUBT]
    findings.in_doubt += len(doubtful)
    acknowledged = {part for part, outcome in known.items() if outcome is Outcome.ACKNOWLEDGED}
    if not acknowledged <= set(arrived):
        findings.wrong.append(f"{name}: acknowledged and not there: {acknowledged - set(arrived)}")
    if len(doubtful) > 1 or (doubtful and renames and not inbox.taken):
        findings.wrong.append(f"{name}: in doubt: {doubtful}")
    if not doubtful and set(arrived) != set(DELIVERED):
        findings.wrong.append(f"{name}: lost: {set(DELIVERED) - set(arrived)}")
    if doubtful and MARKER in set(arrived) - set(doubtful):
        findings.wrong.append(f"{name}: the manifest left although {doubtful} is in doubt")


def _count(night: Night) -> None:
    with killing(Killing()) as steps:
        run(night, CHANNEL)
    (night.shop.root / "steps.json").write_text(json.dumps(steps.taken))


def _killed(night: Night, at: int, when: str, half: Callable[..., Any] | None) -> None:
    with killing(Killing(at, when), half):
        run(night, CHANNEL)


def _retried(night: Night) -> None:
    """As the DAG does it, and a person afterwards: neither may send anything a second time."""
    for attempt in (run, run, redeliver):
        try:
            attempt(night, CHANNEL)
        except (DeliveryInDoubt, Transient):
            continue


def _in_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except RecsysError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def outcomes(night: Night) -> dict[str, str]:
    return {part: outcome.value for part, outcome in journals.outcome(night, CHANNEL).items()}


__all__ = ["CannotDeliver", "Inbox", "Killing", "every_kill", "killing", "night_with_target", "outcomes"]

if __name__ == "__main__":
    below = Path(sys.argv[1])

    def make(name: str) -> tuple[Night, Inbox]:
        inbox = Inbox(below / name / "inbox")
        return night_with_target(below / name / "shop", f"file://{inbox.folder}"), inbox

    found = every_kill(make)
    print(
        json.dumps(
            {"steps": found.steps, "trials": found.trials, "in_doubt": found.in_doubt, "wrong": found.wrong}, indent=1
        )
    )
