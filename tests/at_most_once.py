"""Random histories of deliveries, to a folder and to two tools' APIs: nights, retries, crashes, faults of the target,
corrections, redeliveries, settlements. Nothing may arrive twice, and nothing that did not may count as delivered.

`python tests/at_most_once.py --sequences 10000` runs that many and prints what happened.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from api_delivery import Time, braze_lines, klaviyo_lines
from delivery_faults import Inbox
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from publisher_faults import SHOP
from tool_servers import KEY, Braze, Klaviyo, Server, running

from recsys import ledger
from recsys.audit import AuditedFile
from recsys.config import load_shop
from recsys.delivery import braze, klaviyo
from recsys.delivery.api import Api
from recsys.delivery.journal import Journal, Outcome
from recsys.delivery.redeliver import redeliver
from recsys.delivery.stage import run
from recsys.delivery.targets import LocalFolder, Target
from recsys.errors import AlreadyPublished, CannotDeliver, DeliveryInDoubt, Transient
from recsys.night import Night
from recsys.publisher import Outgoing, publish, start_attempt
from recsys.tables import write_parquet

FIRST = date(2026, 3, 1)
FILES, TOOLS = "email_file", {"klaviyo": "json", "braze": "jsonl"}
CHANNELS = (FILES, *TOOLS)
MOST_NIGHTS = 3
AT_ONCE = 500
MEMORY = Path("/dev/shm")
FAULTS = ("429", "500_before", "500_after", "reset_before", "reset_after", "malformed")
HOW = ("well", "killed before", "killed after", "killed halfway", "broken before", "broken after")
happened: Counter[str] = Counter()


class Killed(BaseException):
    """The process is gone: nothing after this line was done."""


class Steps:
    """Counts steps; at the chosen one the process ends, or the target's connection breaks, before it or after it."""

    def __init__(self, at: int, how: str) -> None:
        self.at, self.how, self.taken = at, how, 0

    def around(self, kind: type, name: str) -> Any:
        real, is_line = vars(kind)[name], kind is Journal

        def step(it: Any, *args: Any, **kwargs: Any) -> Any:
            self.taken += 1
            chosen = self.taken == self.at
            if chosen and self.how == "killed halfway" and is_line:
                _half_a_line(it, args[0])
            if chosen and self.how.startswith("killed") and not self.how.endswith("after"):
                raise Killed
            if chosen and self.how == "broken before" and kind is Target:
                raise Transient("the connection broke")
            result = real(it, *args, **kwargs)
            if chosen and self.how == "killed after":
                raise Killed
            if chosen and self.how == "broken after" and kind is Target:
                raise Transient("the connection broke")
            return result

        return step


def _half_a_line(journal: Journal, entry: Any) -> None:
    journal.path.parent.mkdir(parents=True, exist_ok=True)
    line = entry.model_dump_json().encode()
    with journal.path.open("ab") as stream:
        stream.write(line[: len(line) // 2])


PATCHED = [(Journal, "_write"), (Target, "find"), (Target, "upload"), (Target, "rename"), (LocalFolder, "rename")]
PATCHED += [(Api, "_ask")]


@contextmanager
def disturbed(at: int, how: str) -> Iterator[None]:
    steps = Steps(at, how)
    with ExitStack() as stack:
        for kind, name in PATCHED:
            stack.enter_context(patch.object(kind, name, steps.around(kind, name)))
        yield


class Tool(Inbox):
    """What takes files away. Every row of a file of its own is a message to a customer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.received: Counter[str] = Counter()

    def take(self) -> None:
        for name in self.lying():
            if not name.endswith(".json"):
                self.received.update((self.folder / name).read_text().split()[1:])
        super().take()

    def arrived(self) -> Counter[str]:
        lying = [name for name in self.lying() if not name.endswith(".json")]
        return self.received + Counter(row for name in lying for row in (self.folder / name).read_text().split()[1:])


class Deliveries(RuleBasedStateMachine):
    """One shop with a channel for each kind of target, over a few nights."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.tool = Tool(self.folder / "inbox")
        self.servers: dict[str, Server] = {"klaviyo": Klaviyo(), "braze": Braze()}
        self.stack = ExitStack()
        for name, server in self.servers.items():
            self.stack.enter_context(running(server))
            connection = json.dumps({"host": server.host, "password": KEY})
            self.stack.enter_context(patch.dict(os.environ, {f"RECSYS_CONNECTION_{name.upper()}": connection}))
        clock = Time().clock
        for module in (klaviyo, braze):
            self.stack.enter_context(patch.object(module, "Clock", lambda: clock))
        files = f"  - {{name: {FILES}, kind: {FILES}, deliver: {{to: 'file://{self.tool.folder}'}}}}\n"
        lines = [files] + [
            f"  - {{name: {name}, kind: {name}, format: {form}, deliver: {{to: 'api:{name}', connection: {name}}}}}\n"
            for name, form in TOOLS.items()
        ]
        self.folder.joinpath("shop.yaml").write_text(SHOP[: SHOP.index("  - {name: email_file")] + "".join(lines))
        self.shop = load_shop(self.folder / "shop.yaml")
        self.people: dict[tuple[str, date], list[str]] = {}
        self.corrected = False

    def night(self, day: date) -> Night:
        return Night(self.shop, day)

    def teardown(self) -> None:
        """In the end, with a person who settles what is in doubt, everything has arrived, and once."""
        try:
            for channel, day in self.people:
                self._finish(channel, day)
            assert {key for key, times in self._arrived().items() if times != 1} == set()
            expected = {person for people in self.people.values() for person in people}
            assert set(self._arrived()) == expected, expected - set(self._arrived())
        finally:
            self.stack.close()
            shutil.rmtree(self.folder)

    @precondition(lambda self: len(self.people) < MOST_NIGHTS * len(CHANNELS))
    @rule(people=st.integers(0, 4), files=st.integers(1, 2))
    def publish_a_night(self, people: int, files: int) -> None:
        day = FIRST + timedelta(days=len(self.people) // len(CHANNELS))
        for channel in CHANNELS:
            ids = [f"ok-{channel}-{day:%d}-{number}" for number in range(people)]
            self._publish(channel, day, ids, files)
            self.people[channel, day] = ids
        happened["nights"] += 1

    @precondition(lambda self: self.people and not self.corrected)
    @rule(data=st.data())
    def correct_a_published_night(self, data: st.DataObject) -> None:
        """A published day stays what it is."""
        channel, day = data.draw(st.sampled_from(sorted(self.people)))
        with suppress(AlreadyPublished):
            self._publish(channel, day, ["ok-other"], 1)
            raise AssertionError("published again with other bytes")
        self.corrected = True
        happened["corrections refused"] += 1

    @precondition(lambda self: self.people)
    @rule(
        data=st.data(),
        at=st.integers(1, 45),
        how=st.sampled_from(HOW),
        attempt=st.sampled_from([run, redeliver]),
        takes=st.booleans(),
        faults=st.lists(st.sampled_from(FAULTS), max_size=2),
    )
    def deliver(
        self, data: st.DataObject, at: int, how: str, attempt: Callable[..., Any], takes: bool, faults: list[str]
    ) -> None:
        channel, day = data.draw(st.sampled_from(sorted(self.people)))
        if channel in self.servers:
            self.servers[channel].faults.extend(faults)
        happened[f"deliveries, {how}"] += 1
        with suppress(Killed, Transient, CannotDeliver, DeliveryInDoubt), disturbed(at if how != "well" else 0, how):
            attempt(self.night(day), channel)
        if channel in self.servers:
            self.servers[channel].faults.clear()
        if takes:
            self.tool.take()

    @rule()
    def the_tool_takes_its_files(self) -> None:
        self.tool.take()

    @precondition(lambda self: any(self._doubtful(*key) for key in self.people))
    @rule(data=st.data())
    def a_person_settles(self, data: st.DataObject) -> None:
        channel, day = data.draw(st.sampled_from(sorted(key for key in self.people if self._doubtful(*key))))
        self._settle(channel, day)

    @invariant()
    def nothing_arrived_twice(self) -> None:
        assert {key: times for key, times in self._arrived().items() if times > 1} == {}

    @invariant()
    def what_is_acknowledged_has_arrived(self) -> None:
        arrived = self._arrived()
        for channel, day in self.people:
            for entry in Journal.open(self.night(day), channel).entries:
                if entry.outcome is Outcome.ACKNOWLEDGED:
                    assert self._of_part(channel, day, entry.part) <= set(arrived), entry

    def _publish(self, channel: str, day: date, ids: list[str], files: int) -> None:
        night = self.night(day)
        outgoing = []
        cut = -(-len(ids) // files)
        pieces = [ids[number * cut : (number + 1) * cut] for number in range(files)]
        for number, piece in enumerate(pieces, start=1):
            suffix = "" if number == 1 else f"_{number}"
            name, content = self._file(f"{channel}_{day:%Y%m%d}{suffix}", channel, piece)
            path = night.files / channel / hashlib.sha256(content).hexdigest()[:8] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            outgoing.append(
                Outgoing(AuditedFile(path, hashlib.sha256(content).hexdigest(), day), len(piece), ("customer_id",))
            )
        publish(night, channel, outgoing, model_version=None, checks_passed=1, attempt=start_attempt(night, channel))
        frame = pl.DataFrame({"customer_id": ids}, schema={"customer_id": pl.String}).select(
            run_date=pl.lit(day), campaign=pl.lit("recommendations"), channel=pl.lit(channel),
            contact_channel=pl.lit("email"), customer_id="customer_id", address=pl.lit(None, pl.String),
        )  # fmt: skip
        write_parquet(frame, ledger.path_of(night, ledger.RECIPIENTS, channel))

    def _file(self, stem: str, channel: str, ids: list[str]) -> tuple[str, bytes]:
        if channel == "klaviyo":
            return f"{stem}.json", klaviyo_lines(*([ids[:2], ids[2:]] if ids[2:] else [ids] if ids else []))
        if channel == "braze":
            return f"{stem}.jsonl", braze_lines(ids)
        return f"{stem}.csv", "".join(f"{line}\n" for line in ["customer_id", *ids]).encode()

    def _arrived(self) -> Counter[str]:
        return sum((server.received for server in self.servers.values()), self.tool.arrived())

    def _of_part(self, channel: str, day: date, part: str) -> set[str]:
        """The people of a part, from the published file: of a file all of them, of a batch those of its lines."""
        if part.endswith(".manifest.json"):
            return set(self.people[channel, day])
        file, _, batch = part.partition("#")
        lines = (self.night(day).audience(channel) / file).read_text().splitlines()
        if not batch:
            return set(lines[1:])
        records = [json.loads(line) for line in lines]
        if channel == "klaviyo":
            number, _, piece = batch.partition(":")
            profiles = records[int(number) - 1]["data"]["attributes"]["profiles"]["data"]
            found = [profile["attributes"]["external_id"] for profile in profiles]
        else:
            _, _, piece = batch.partition(":")
            found = [record["EXTERNAL_ID"] for record in records]
        return set(_piece(found, piece))

    def _doubtful(self, channel: str, day: date) -> list[str]:
        entries = Journal.open(self.night(day), channel).entries
        return [entry.part for entry in entries if entry.outcome is Outcome.IN_DOUBT]

    def _settle(self, channel: str, day: date) -> None:
        """A person looks what the target has, and says so."""
        for part in self._doubtful(channel, day):
            if part.endswith(".manifest.json"):
                is_there = part in [*self.tool.taken, *self.tool.lying()]
            else:
                people = self._of_part(channel, day, part)
                there = people <= set(self._arrived())
                is_there = there if people else part in [*self.tool.taken, *self.tool.lying()]
            happened["settlements"] += 1
            with suppress(Transient, CannotDeliver, DeliveryInDoubt):
                redeliver(self.night(day), channel, "delivered" if is_there else "lost", [part])

    def _finish(self, channel: str, day: date) -> None:
        for _ in range(6):
            with suppress(Transient, CannotDeliver, DeliveryInDoubt):
                run(self.night(day), channel)
                return
            self._settle(channel, day)
        raise AssertionError(f"{channel} of {day} is never done: {Journal.open(self.night(day), channel).entries}")


def _piece(people: list[str], piece: str) -> list[str]:
    first, dash, last = piece.partition("-")
    return people[int(first) - 1 : int(last if dash else first)] if first else people


def try_sequences(number: int, chosen: int | None = None, *, shrink: bool = True) -> None:
    """That many random histories, always the same ones for a seed; raises on the first that breaks a law, shrunk."""
    how = settings(
        max_examples=number,
        stateful_step_count=20,
        deadline=None,
        database=None,
        derandomize=chosen is None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    machine = Deliveries if chosen is None else seed(chosen)(type("Deliveries", (Deliveries,), {}))
    run_state_machine_as_test(machine, settings=how)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    started = time.perf_counter()
    for begun in range(0, asked.sequences, AT_ONCE):
        try_sequences(min(AT_ONCE, asked.sequences - begun), asked.seed + begun)
        told = ", ".join(f"{count:,} {what}" for what, count in sorted(happened.items()))
        done = min(begun + AT_ONCE, asked.sequences)
        sys.stdout.write(f"{done:,} sequences in {time.perf_counter() - started:.0f} s: {told}\n")
        sys.stdout.flush()
    sys.stdout.write("0 arrived twice, 0 acknowledged and not there, 0 lost\n")
