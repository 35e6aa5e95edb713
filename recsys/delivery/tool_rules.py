"""What differs from one tool's API to the next: how records are read and sent, and what its answers mean."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from recsys.delivery.answers import Answer
from recsys.delivery.api import Api, Clock, Pace
from recsys.delivery.batches import Batch, Problem, Record, as_json
from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Entry, Journal
from recsys.delivery.record_errors import Identifier

Found = tuple[int | None, Problem]
"""A record's position in its request, None when the tool did not say, and what is wrong with it."""


@dataclass(frozen=True)
class Taken:
    """What is known of a part that the tool has: its receipt, and the records that it did not take after all."""

    receipt: str
    problems: tuple[Found, ...] = ()


class ToolRules(ABC):
    """The rules of one tool's API."""

    suffix: str
    """Of the files whose lines the API takes; others are left for a person to import."""
    lines_per_batch: int
    most_records: int
    most_bytes: int
    path: str
    """Where records are posted."""

    @classmethod
    @abstractmethod
    def connected(cls, connection: Connection, clock: Clock, pace: Pace) -> Api:
        """The tool's API at a connection, nothing asked of it yet. Raises ConfigError for what the connection lacks."""

    @classmethod
    def look(cls, api: Api) -> str:
        """Ask the tool for something that changes nothing; what that showed. Raises CannotDeliver and Transient."""
        api.knock()
        return "it answers; whether it takes the key only a delivery shows"

    @abstractmethod
    def batch(self, name: str, lines: Sequence[Record], first: Record) -> Batch:
        """The records of some lines of a file, `first` being the file's first line."""

    @abstractmethod
    def identifier(self, record: Record) -> Identifier:
        """What a record is found by: external_id, email or phone, and the value; two empty texts without any."""

    @abstractmethod
    def body(self, records: Sequence[Record]) -> bytes:
        """The request that sends records, as `as_json` writes it."""

    @abstractmethod
    def refused(self, answer: Answer, records: Sequence[Record]) -> list[Found] | None:
        """The records that a refusal names; empty when it names none. None when it speaks about no record at all."""

    @abstractmethod
    def accepted(self, answer: Answer, records: Sequence[Record]) -> Taken | None:
        """What an accepting answer says; None when it cannot be read."""

    def mark(self) -> str:
        """What to remember before something is sent, so that it can be looked for afterwards."""
        return ""

    def find(self, entry: Entry, records: Sequence[Record], journal: Journal) -> str | None:  # noqa: ARG002
        """Ask the tool whether it has a part in doubt: the receipt, or None while nobody knows."""
        return None

    def confirm(self, taken: Taken, records: Sequence[Record]) -> Taken | None:  # noqa: ARG002
        """What became of a part that the tool has taken; None while the tool is not done with it."""
        return taken


def written(problems: Sequence[Found]) -> str:
    """Problems as a journal's reason: they are read back after a crash."""
    return as_json([[row, problem.code, problem.detail] for row, problem in problems]).decode() if problems else ""


def read_problems(reason: str) -> tuple[Found, ...]:
    """What `written` put there; nothing when that was something else."""
    if not reason.startswith("["):
        return ()
    with suppress(ValueError, TypeError):
        return tuple((row, Problem(code, detail)) for row, code, detail in json.loads(reason))
    return ()
