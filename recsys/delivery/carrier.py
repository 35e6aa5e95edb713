"""What brings published files to where they go: one carrier per kind of target, all driven the same way.

A carrier cuts the published audience into parts, the same ones every time, and brings one part at a time as far as it
can. It decides by the journal alone, writes there before it acts, and asks the target before it sends anything that may
have arrived.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.delivery.journal import Journal, Outcome, Part
from recsys.manifest import Published
from recsys.night import Night


@dataclass(frozen=True)
class Audience:
    """A published audience that is to be delivered: its folder, read and verified, and which night's it is."""

    night: Night
    name: str
    folder: Path
    published: Published


@dataclass(frozen=True)
class Load:
    """A part, and the customers whose messages are in it: none for files that plan no message."""

    part: Part
    customers: Sequence[str] = ()


class Carrier(ABC):
    """Brings one audience to one target."""

    target: str
    """Where to, as it may be shown: no credentials."""

    @abstractmethod
    def loads(self) -> Iterator[Load]:
        """The parts, in the order in which they leave; the same published files always give the same parts.

        Every customer of the audience is in exactly one of them.
        """

    @abstractmethod
    def carry(self, part: Part, journal: Journal) -> None:
        """Bring one part on from where its journal says it is, as far as it goes now.

        Afterwards the journal says what became of it; a part in doubt is asked for, never sent. A target that refuses
        the part is an entry in the journal and no error. Raises Transient when waiting may help, CannotDeliver when
        nothing can be delivered there at all (a wrong host key, a wrong password).
        """

    def is_last(self, part: Part) -> bool:  # noqa: ARG002
        """Whether the part says that all others are there, and so leaves only after them."""
        return False

    def close(self) -> None:  # noqa: B027
        """End what was opened."""


def open_parts(journal: Journal) -> Iterator[Part]:
    """Every part that is not acknowledged, once each, those that a split adds on the way included."""
    seen: set[str] = set()
    while left := [e.part for e in journal.entries if e.part not in seen and e.outcome is not Outcome.ACKNOWLEDGED]:
        seen.add(left[0])
        yield journal.part(left[0])
