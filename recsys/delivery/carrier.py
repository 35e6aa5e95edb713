"""What brings published files to where they go: one carrier per kind of target, all driven the same way.

A carrier cuts the published audience into parts, the same ones every time, and brings one part at a time as far as it
can. It decides by the journal alone, writes there before it acts, and asks the target before it sends anything that may
have arrived.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from recsys.delivery.journal import Journal, Part


class Carrier(ABC):
    """Brings one audience to one target."""

    target: str
    """Where to, as it may be shown: no credentials."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """What leaves, in that order; the same published files always give the same parts.

        A message is in exactly one of them. A part is named as its file, or `<file>#<number>` for a batch of its rows,
        so that sorted names (numbers as numbers) are the order of the rows: that is how it is known later which
        customer was in which part.
        """

    @abstractmethod
    def carry(self, part: Part, journal: Journal) -> None:
        """Bring one part on from where its journal says it is, as far as it goes now.

        Afterwards the journal says what became of it; what may have arrived is asked for, never sent. A target that
        refuses the part is a line in the journal and no error. Raises Transient when waiting may help, CannotDeliver
        when nothing can be delivered there at all (a wrong host key, a wrong password).
        """

    def waits_for_others(self, part: Part) -> bool:  # noqa: ARG002
        """Whether the part says that all others are there, and so leaves only when they are."""
        return False

    def close(self) -> None:  # noqa: B027
        """End what was opened."""


def open_parts(journal: Journal) -> Iterator[Part]:
    """Every part that is not settled, once each, also those that a split adds on the way."""
    seen: set[str] = set()
    while left := [entry.part for entry in journal.unsettled if entry.part not in seen]:
        seen.update(left)
        yield from map(journal.part, left)
