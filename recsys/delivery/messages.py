"""Which part a customer's message left in, and so what became of it: (customer, channel, campaign day, campaign).

Files and batches keep the order of customer_id, so the place of a customer among the recipients says the part. Where
the rows of the parts do not add up to the recipients (a delta, a redacted ledger) the least that holds for all counts.
"""

import re
from dataclasses import dataclass

from recsys.delivery.audiences import channels, setting_of
from recsys.delivery.journal import Entry, Journal, State, natural
from recsys.manifest import MANIFEST
from recsys.night import Night

LEAST_FIRST = (State.PENDING, State.FAILED, State.RESERVED, State.EXPORTED, State.ACKNOWLEDGED)


@dataclass(frozen=True)
class Slice:
    """Recipients from place `first` to `last` (from 1, ordered by customer_id) of `people` and their part's line."""

    first: int
    last: int
    people: int
    entry: Entry


@dataclass(frozen=True)
class Messages:
    """What became of an audience's messages: by place, and at least for all of them."""

    target: str
    slices: tuple[Slice, ...]
    least: State

    def entry_of(self, place: int, people: int) -> Entry | None:
        """The line of the part with the recipient at a place; None where places do not tell."""
        here = (it.entry for it in self.slices if it.people == people and it.first <= place <= it.last)
        return next(here, None)


def messages_of(night: Night, channel: str) -> Messages | None:
    """What became of a channel's messages of a night; None when its files are not delivered, and were not then."""
    journal = Journal.open(night, channel)
    if channel not in channels(night) and not journal.entries:
        return None
    ours = re.compile(rf"{re.escape(channel)}_((un)?personalised_)?(add_)?\d{{8}}(?!.*{re.escape(MANIFEST)}$)")
    entries = sorted(
        (entry for entry in journal.entries if ours.match(entry.part)),
        key=lambda entry: natural(entry.part),
    )
    people, first, slices = sum(entry.rows for entry in entries), 1, []
    is_parted = any("personalised_" in entry.part for entry in entries)  # by consent, so places do not tell
    for entry in [] if is_parted else entries:
        slices.append(Slice(first, first + entry.rows - 1, people, entry))
        first += entry.rows
    least = min((entry.state for entry in entries), key=LEAST_FIRST.index, default=State.PENDING)
    target = setting_of(night, channel).to if channel in channels(night) else journal.entries[0].target
    return Messages(target, tuple(slices), least)
