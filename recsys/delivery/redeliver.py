"""Delivering a night again, safely: what is acknowledged never leaves again, what is in doubt not before it is settled.

A person who has looked at the target says `delivered` or `lost` of parts in doubt; where the target itself can tell,
its word counts.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Literal

from recsys.delivery.approval import waits
from recsys.delivery.audiences import audience_of, channels, owner_of, setting_of
from recsys.delivery.journal import Journal, Outcome, State, Step
from recsys.delivery.stage import carrier_of, run
from recsys.errors import CannotDeliver, ConfigError, DeliveryInDoubt, RecsysError, Transient
from recsys.lock import exclusive
from recsys.night import Night
from recsys.pipeline import record

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
    if not audience_of(night, channel).published.manifest.redacted and not waits(night, channel):
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


def redeliver_night(
    night: Night, channel: str | None = None, settle: Settle | None = None, parts: Sequence[str] = ()
) -> dict[str, RecsysError | None]:
    """`redeliver` one channel of a night with its check-in, or every one that is delivered, each as a stage on record.

    Per audience the error that it ended with, None for those that are delivered whole. Raises ConfigError for a channel
    that is not delivered, for a settlement without a channel, and for parts without one.
    """
    if channel is not None:
        setting_of(night, channel)
    if (settle is not None and channel is None) or (parts and settle is None):
        raise ConfigError("to settle parts, name their channel, the parts, and what became of them: delivered or lost.")
    ends: dict[str, RecsysError | None] = {}
    for audience in [it for it in channels(night) if channel in {None, it, owner_of(night, it)}]:
        settled = settle if audience == channel else None
        try:
            record(night, f"deliver.{audience}", partial(_work, audience, settled, parts))
            ends[audience] = None
        except RecsysError as error:
            ends[audience] = error
    return ends


def _work(audience: str, settle: Settle | None, parts: Sequence[str], night: Night) -> dict[str, int | str]:
    return redeliver(night, audience, settle, parts)


def require_ends(night: Night, ends: dict[str, RecsysError | None]) -> dict[str, int | str]:
    """Counts of parts by what is known of them, over all audiences.

    Raises what the audiences ended with: DeliveryInDoubt first, Transient last, each message in its text.
    """
    errors = [error for error in ends.values() if error is not None]
    if errors:
        worst = min(errors, key=lambda error: (not isinstance(error, DeliveryInDoubt), isinstance(error, Transient)))
        raise type(worst)("\n".join(str(error) for error in errors))
    found = Counter(entry.outcome for name in ends for entry in Journal.open(night, name).entries)
    return {outcome.value: found[outcome] for outcome in Outcome}
