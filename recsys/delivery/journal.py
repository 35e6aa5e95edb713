"""The journal of a delivery: what left for where, and how far it is known to have come. The ledger of parts.

`published/deliveries/<channel>/<run_date>.jsonl`, append-only, each line on disk before the next step is taken; no
personal data. A part is one file, or one batch of an API: it leaves as a whole or not at all.

```
planned -> reserved -> sending -> exported -> acknowledged
              ^ |________|________|___-> failed (certainly not there)
              |____________________________|
```

`sending` is the point of no return: from the moment that line is on disk the target may have the part, and it is in
doubt until the target, or a person, says what became of it. What is in doubt cannot be sent; what is acknowledged
never leaves again. Both are refused here, whoever asks.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.errors import CannotDeliver, DeliveryInDoubt, StateDamaged
from recsys.files import PRIVATE_FILE, private_folder, sync_folder
from recsys.lock import exclusive
from recsys.night import Night

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class State(StrEnum):
    """How far a part has come."""

    PENDING = "pending"
    RESERVED = "reserved"
    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"


class Step(StrEnum):
    """What was about to happen, or had happened, when a line was written."""

    PLANNED = "planned"
    RESERVED = "reserved"
    """Being prepared: nothing lies yet where a tool would take it from."""
    SENDING = "sending"
    """From here on the target may have it."""
    SENT = "sent"
    """The target said yes; what it has was not looked at yet."""
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The target said no, or certainly got nothing."""
    DECLINED = "declined"
    """The tool takes this one record not, and others it does: `published/ledger/errors/` says why."""
    SPLIT = "split"
    """Its parts leave in its place."""
    SETTLED = "settled"
    """A person has said what became of it."""


class Outcome(StrEnum):
    """What is known about a part when nobody is at work on it."""

    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    DECLINED = "declined"
    IN_DOUBT = "in_doubt"
    PENDING = "pending"


@dataclass(frozen=True)
class Part:
    """What leaves as a whole: its name (unique within channel and night), the SHA-256 of its bytes, rows and bytes."""

    name: str
    sha256: str
    rows: int
    bytes: int


class Entry(BaseModel):
    """One line of a journal."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    part: str
    sha256: str
    rows: int
    bytes: int
    state: State
    step: Step
    target: str = ""
    """Where to, without credentials."""
    receipt: str = ""
    """What the target confirmed, in its own words where it has some: a checksum, a job's id."""
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """What this line leaves behind if no other follows."""
        if self.state is State.EXPORTED or (self.state is State.RESERVED and self.step is Step.SENDING):
            return Outcome.IN_DOUBT
        if self.state is State.RESERVED:
            return Outcome.PENDING
        if self.step is Step.DECLINED:
            return Outcome.DECLINED
        return Outcome(self.state.value)


class Journal:
    """The journal of one channel and night, as it was when it was opened, and what is appended since."""

    def __init__(self, night: Night, channel: str, target: str = "") -> None:
        self.night, self.channel, self.target = night, channel, target
        self.path = path_of(night, channel)
        self._entries: dict[str, Entry] = {}
        self._end = 0
        self._read()

    @classmethod
    def open(cls, night: Night, channel: str, target: str = "") -> "Journal":
        """The journal, empty when nothing was delivered yet; `target` is what new lines name as theirs.

        Raises StateDamaged for one that cannot be read. A last line that a crash cut off counts as not written.
        """
        return cls(night, channel, target)

    @property
    def unsettled(self) -> tuple[Entry, ...]:
        """Parts with which something is left to do: neither acknowledged, nor declined by a tool that took others."""
        settled = {Outcome.ACKNOWLEDGED}
        if any(entry.outcome is Outcome.ACKNOWLEDGED for entry in self.entries):
            settled.add(Outcome.DECLINED)
        return tuple(entry for entry in self.entries if entry.outcome not in settled)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The newest line of every part, in the order in which parts were planned; parts that were split left out."""
        return tuple(entry for entry in self._entries.values() if entry.step is not Step.SPLIT)

    def part(self, name: str) -> Part:
        """A part by its name."""
        entry = self.entry(name)
        return Part(entry.part, entry.sha256, entry.rows, entry.bytes)

    def entry(self, name: str) -> Entry:
        """The newest line of a part. Raises CannotDeliver for one that was never planned."""
        if name not in self._entries:
            raise CannotDeliver(f"{self.path}: there is no part {name!r} on record, so it cannot be delivered.")
        return self._entries[name]

    def state(self, name: str) -> State:
        """How far a part has come; pending also for one that was never planned."""
        return self._entries[name].state if name in self._entries else State.PENDING

    def outcome(self, name: str) -> Outcome:
        """What is known about a part."""
        return self._entries[name].outcome if name in self._entries else Outcome.PENDING

    def plan(self, parts: Iterable[Part]) -> None:
        """Put parts on record that are not; the same part again changes nothing.

        Raises CannotDeliver when one is on record with other bytes: what was planned once is never replaced.
        """
        for part in parts:
            known = self._entries.get(part.name)
            if known is None:
                self._write(self._line(part, State.PENDING, Step.PLANNED))
            elif known.sha256 != part.sha256:
                raise CannotDeliver(
                    f"{self.path}: {part.name} is on record with other bytes (sha256 {known.sha256[:12]}, now "
                    f"{part.sha256[:12]}). A night is delivered as it was published; the next one brings the rest."
                )

    def append(self, name: str, state: State, step: Step, *, receipt: str = "", reason: str = "") -> None:
        """Write a part's next line and wait until it is on disk.

        Raises CannotDeliver for a part that is acknowledged, and DeliveryInDoubt for another `sending` of one that may
        have arrived: say first that it certainly did not (failed, or reserved again), with the reason.
        """
        entry = self.entry(name)
        if entry.outcome is Outcome.ACKNOWLEDGED or entry.step is Step.SPLIT:
            raise CannotDeliver(f"{self.path}: {name} is {entry.step.value}; nothing about it changes any more.")
        if step is Step.SENDING and entry.outcome is Outcome.IN_DOUBT:
            raise DeliveryInDoubt(f"{self.path}: {name} may have arrived already, so it is not sent again.")
        self._write(self._line(self.part(name), state, step, receipt=receipt, reason=reason))

    def split(self, name: str, into: Sequence[Part], *, reason: str = "") -> None:
        """Let smaller parts leave in the place of one that certainly did not arrive."""
        if self.outcome(name) in {Outcome.IN_DOUBT, Outcome.ACKNOWLEDGED}:
            raise CannotDeliver(f"{self.path}: {name} may have arrived, so it cannot leave in parts.")
        self.plan(into)
        self.append(name, State.FAILED, Step.SPLIT, reason=reason)

    def _line(self, part: Part, state: State, step: Step, *, receipt: str = "", reason: str = "") -> Entry:
        return Entry(
            part=part.name,
            sha256=part.sha256,
            rows=part.rows,
            bytes=part.bytes,
            state=state,
            step=step,
            target=self.target,
            receipt=receipt,
            reason=reason,
        )

    def _read(self) -> None:
        content = self.path.read_bytes() if self.path.is_file() else b""
        self._end = content.rfind(b"\n") + 1
        try:
            entries = [Entry.model_validate_json(line) for line in content[: self._end].splitlines()]
        except ValidationError:
            raise StateDamaged(
                f"{self.path}: this is not the journal of a delivery. Restore it from a backup: without it nobody "
                "knows what has left already, so nothing more leaves."
            ) from None
        for entry in entries:
            self._entries[entry.part] = entry

    def _write(self, entry: Entry) -> None:
        """Append a line in the place of one that was cut off, and sync it. Only ever while the data root is held."""
        with exclusive(self.night.shop.root):
            private_folder(self.path.parent)
            is_new = not self.path.exists()
            file = os.open(self.path, _APPEND, PRIVATE_FILE)
            try:
                torn = os.pread(file, max(os.fstat(file).st_size - self._end, 0), self._end)
                if os.fstat(file).st_size < self._end or b"\n" in torn:
                    raise StateDamaged(f"{self.path}: something else has written to it meanwhile. Run this again.")
                os.ftruncate(file, self._end)
                line = (entry.model_dump_json(exclude_defaults=True) + "\n").encode()
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fsync(file)
            finally:
                os.close(file)
            if is_new:
                sync_folder(self.path.parent)
                sync_folder(self.path.parent.parent)
        self._end += len(line)
        self._entries[entry.part] = entry


def path_of(night: Night, channel: str) -> Path:
    """Where a channel's journal of a night is."""
    return night.deliveries / channel / f"{night.run_date.isoformat()}.jsonl"


def outcome(night: Night, channel: str) -> dict[str, Outcome]:
    """Per part what is known about it; empty when no delivery of the channel and night ever began."""
    return {entry.part: entry.outcome for entry in Journal.open(night, channel).entries}


def is_delivered(night: Night, channel: str) -> bool:
    """Whether a delivery began and nothing is left to do: every part acknowledged, or declined beside such."""
    journal = Journal.open(night, channel)
    return bool(journal.entries) and not journal.unsettled


def natural(name: str) -> list[tuple[int, str]]:
    """A sorting key for names of parts: numbers within a name as numbers."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", name)]
