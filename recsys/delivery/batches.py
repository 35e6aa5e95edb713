"""What a published file of JSON lines holds, cut into the parts that leave as one request each.

The cut depends on the file and the tool's limits alone, and a part's name says what is in it, so every attempt makes
the same parts under the same names: `<file>#3` is the third batch, `<file>#3:11-20` its 11th to 20th record, and
`<file>#3:7` one record.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recsys.delivery.journal import Part
from recsys.errors import CannotDeliver

Record = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Why a record is not taken: a code, the tool's or ours, and the field it is about; never a value."""

    code: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


@dataclass(frozen=True)
class Batch:
    """Consecutive records of a file, in its order; `problems` of those that the tool is not even asked to take."""

    name: str
    records: Sequence[Record] = field(repr=False)
    problems: Mapping[int, Problem] = field(default_factory=dict)

    def slices(self, most_records: int, most_bytes: int) -> list["Slice"]:
        """The batch's requests: one, or as many as the limits need, each record with a problem by itself."""
        whole = Slice(self, 0, len(self.records))
        found = []
        for piece in whole.around(self.problems):
            ends = np.cumsum([len(as_json(record)) + 1 for record in piece.records])
            first, spent = piece.first, 0
            while first < piece.end:
                fitting = int(np.searchsorted(ends, spent + most_bytes, "right")) + piece.first
                end = max(min(fitting, first + most_records, piece.end), first + 1)
                found.append(Slice(self, first, end))
                first, spent = end, int(ends[end - piece.first - 1])
        return found


@dataclass(frozen=True)
class Slice:
    """Records of a batch that leave as one request: from position `first` to before `end`, counted from 0."""

    batch: Batch
    first: int
    end: int

    @property
    def records(self) -> Sequence[Record]:
        return self.batch.records[self.first : self.end]

    @property
    def problem(self) -> Problem | None:
        """Why this one record is not sent; None for everything that is."""
        return self.batch.problems.get(self.first)

    @property
    def name(self) -> str:
        if (self.first, self.end) == (0, len(self.batch.records)):
            return self.batch.name
        last = f"-{self.end}" if self.end - self.first > 1 else ""
        return f"{self.batch.name}:{self.first + 1}{last}"

    @property
    def part(self) -> Part:
        """As the journal knows it: the hash is of the records, so that no setting of a connection is in it."""
        content = as_json(list(self.records))
        return Part(self.name, hashlib.sha256(content).hexdigest(), len(self.records), len(content))

    def halves(self) -> list["Slice"]:
        """Both halves of at least two records."""
        middle = (self.first + self.end) // 2
        return [Slice(self.batch, self.first, middle), Slice(self.batch, middle, self.end)]

    def around(self, rows: Iterable[int]) -> list["Slice"]:
        """The same records cut so that each of these rows, positions in the batch, stands alone."""
        return self.around_edges({edge for row in rows if self.first <= row < self.end for edge in (row, row + 1)})

    def around_edges(self, edges: set[int]) -> list["Slice"]:
        """The same records cut before each of these positions of the batch."""
        every = sorted({self.first, self.end, *edges})
        return [Slice(self.batch, *edge) for edge in pairwise(every)]


class JsonLines:
    """A file of one JSON object per line, read at any line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        ends = [0]
        with path.open("rb") as stream:
            for line in stream:
                ends.append(ends[-1] + len(line))
        self._ends = np.array(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def read(self, first: int, end: int) -> list[Record]:
        """The objects of some lines, counted from 0. Raises CannotDeliver for a line that is none."""
        with self.path.open("rb") as stream:
            stream.seek(self._ends[first])
            content = stream.read(self._ends[min(end, len(self))] - self._ends[first]).removesuffix(b"\n")
        return list(self._objects(content.split(b"\n"), first))

    def _objects(self, lines: Sequence[bytes], first: int) -> Iterator[Record]:
        for number, line in enumerate(lines, first + 1):
            try:
                found = json.loads(line)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise CannotDeliver(
                    f"{self.path.name}, line {number}: not a JSON object. An API takes JSON lines only; set the "
                    "channel's format to the one that its tool's API reads."
                )
            yield found


def slice_of(name: str, batch: Batch) -> Slice:
    """The records that a part's name stands for. Raises CannotDeliver for a name that is none of this batch."""
    found = re.fullmatch(r"(?::(\d+)(?:-(\d+))?)?", name.removeprefix(batch.name))
    if not found:
        raise CannotDeliver(f"{name}: not a part of {batch.name}.")
    first = int(found.group(1) or 1) - 1
    end = int(found.group(2) or (first + 1 if found.group(1) else len(batch.records)))
    return Slice(batch, first, end)


def as_json(content: Any) -> bytes:
    """Compact JSON: the same content is always the same bytes."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


_CONSENT = re.compile(
    rb'[{,]"(\$?consent\w*|subscriptions?|historical_import|email_subscribe|push_subscribe|subscription_\w+)":'
)


def require_no_consent(body: bytes, part: str) -> None:
    """Raise CannotDeliver when a request says anything about who has agreed: a nightly job never does.

    `body` is JSON as `as_json` writes it.
    """
    if found := _CONSENT.search(body):
        raise CannotDeliver(
            f"{part}: '{found.group(1).decode()}' would change who is subscribed. Nothing of it was sent; take the "
            "field out of the channel."
        )
