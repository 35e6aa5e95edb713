"""Delivering a night again, safely: what is acknowledged never leaves again, what is in doubt not before it is settled.

A person who has looked at the target says `delivered` or `lost` of parts in doubt; where the target itself can tell,
its word counts.
"""

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Literal

from recsys.delivery.audiences import audience_of, setting_of
from recsys.delivery.journal import Entry, Journal, Outcome, State, Step
from recsys.delivery.stage import carrier_of, run
from recsys.errors import CannotDeliver, RecsysError
from recsys.lock import exclusive
from recsys.night import Night

Settle = Literal["delivered", "lost"]


def redeliver(
    night: Night, channel: str, settle: Settle | None = None, parts: Sequence[str] = ()
) -> dict[str, int | str]:
    """Settle parts in doubt if that is asked, then deliver what is certainly not there; as the deliver stage.

    Raises CannotDeliver for parts that are not in doubt, before anything is changed.
    """
    with exclusive(night.shop.root):
        setting_of(night, channel)
        if settle is not None:
            _settle(night, channel, settle, parts)
        return run(night, channel)


def _settle(night: Night, channel: str, settle: Settle, parts: Sequence[str]) -> None:
    setting = setting_of(night, channel)
    journal = Journal.open(night, channel, setting.to)
    doubtful = [entry.part for entry in journal.entries if entry.outcome is Outcome.IN_DOUBT]
    strangers = sorted(set(parts) - set(doubtful))
    if strangers or not parts:
        raise CannotDeliver(
            f"{channel}: {', '.join(strangers) or 'no part'} to settle; name parts that are in doubt: "
            f"{', '.join(doubtful) or 'none is'}. Nothing was changed."
        )
    if not audience_of(night, channel).published.manifest.redacted:
        _ask(night, channel, journal, parts)
    for name in parts:
        if journal.outcome(name) is Outcome.IN_DOUBT:
            state = State.ACKNOWLEDGED if settle == "delivered" else State.FAILED
            journal.append(name, state, Step.SETTLED, reason=f"a person has looked: {settle}")


def _ask(night: Night, channel: str, journal: Journal, parts: Sequence[str]) -> None:
    """Let the target tell first, where it can be reached and knows; else a person has the last word."""
    with suppress(RecsysError), closing(carrier_of(audience_of(night, channel), setting_of(night, channel))) as carrier:
        for name in parts:
            carrier.carry(journal.part(name), journal)


def states(night: Night, channel: str) -> tuple[Entry, ...]:
    """Every part's newest line, for showing."""
    return Journal.open(night, channel).entries
