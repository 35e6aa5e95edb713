"""The deliver stage: one channel's published files go to its target, each part at most once.

It reads only what is published, so it never names a file first; and it holds the data root as every stage does.
"""

from collections import Counter
from contextlib import closing

from recsys.delivery.apis import APIS
from recsys.delivery.approval import require_approved
from recsys.delivery.audiences import Audience, audience_of, channels, setting_of
from recsys.delivery.carrier import Carrier, open_parts
from recsys.delivery.credentials import Connection, credentials, variable_of
from recsys.delivery.journal import Journal, Outcome
from recsys.delivery.settings import Deliver
from recsys.errors import CannotDeliver, ConfigError, DeliveryInDoubt, RecsysError
from recsys.lock import exclusive
from recsys.night import Night

__all__ = ["channels", "deliver", "run"]


def run(night: Night, channel: str) -> dict[str, int | str]:
    """Deliver one channel of the night: counts of parts by what is known of them, and the target.

    Raises NotApproved, StageInputMissing when nothing is published, CannotDeliver when parts failed or the target
    refuses everything, DeliveryInDoubt when nobody knows whether a part arrived, Transient when waiting may help. Parts
    that can be delivered are delivered before any of this is raised. Of a day of which rows were erased since nothing
    more is delivered.
    """
    setting = setting_of(night, channel)
    with exclusive(night.shop.root):
        audience = audience_of(night, channel)
        if audience.published.manifest.redacted:
            return _counts(Journal.open(night, channel)) | {"delivered": "no more; rows were erased since"}
        if setting.approve:
            require_approved(audience)
        journal = deliver(audience, setting)
    require_arrived(journal)
    return _counts(journal)


def deliver(audience: Audience, setting: Deliver) -> Journal:
    """Bring every part on as far as it goes; the journal. What one part raises is raised after all have had their turn.

    Nothing is opened when everything is acknowledged.
    """
    journal = Journal.open(audience.night, audience.name, setting.to)
    if journal.entries and not list(open_parts(journal)):
        return journal
    errors: list[RecsysError] = []
    with closing(carrier_of(audience, setting)) as carrier:
        journal.plan(carrier.parts())
        for part in open_parts(journal):
            if carrier.waits_for_others(part) and any(entry.part != part.name for entry in journal.unsettled):
                continue
            try:
                carrier.carry(part, journal)
            except RecsysError as error:
                errors.append(error)
    if errors:
        raise next((error for error in errors if not isinstance(error, CannotDeliver)), errors[0])
    return journal


def carrier_of(audience: Audience, setting: Deliver) -> Carrier:
    """The carrier to a channel's target, connected. Raises ConfigError where its connection lacks something."""
    connection = connection_of(setting, audience.name)
    if setting.api is None:
        from recsys.delivery.files import FileCarrier
        from recsys.delivery.targets import open_target

        return FileCarrier(audience, open_target(setting.to, connection))
    return APIS[setting.api].load()(audience, connection)  # type: ignore[arg-type]  # each opens its own API


def connection_of(setting: Deliver, channel: str) -> Connection:
    """The credentials that a channel's target asks for; an empty connection for a folder that needs none.

    Raises ConfigError when they are not there, and for an API without a connection.
    """
    if setting.connection is not None:
        return credentials(setting.connection)
    if setting.api is not None:
        raise ConfigError(
            f"channel '{channel}': deliver.to is '{setting.to}', and no connection holds its key. Say connection: "
            f"{setting.api} in its section deliver, and set the environment variable {variable_of(setting.api)} to "
            f"{APIS[setting.api].example}; in Airflow make a connection of that id."
        )
    return Connection("none")


def require_arrived(journal: Journal) -> None:
    """Raise DeliveryInDoubt for parts of which nobody knows whether they arrived, CannotDeliver for any other that did
    not."""
    night, channel = journal.night, journal.channel
    command = f"recsys redeliver {night.shop.path} {night.run_date} --channel {channel}"
    doubtful = [entry.part for entry in journal.entries if entry.outcome is Outcome.IN_DOUBT]
    if doubtful:
        raise DeliveryInDoubt(
            f"{channel}: nobody can tell whether {', '.join(doubtful)} arrived at {journal.target}; nothing of it is "
            f"sent again. Look there, then say what you found: `{command} --settle delivered` (or lost) `--part NAME`."
        )
    missing = {entry.part: entry.reason for entry in journal.unsettled}
    if missing:
        told = "; ".join(f"{part} ({reason})" if reason else part for part, reason in missing.items())
        raise CannotDeliver(f"{channel}: not delivered to {journal.target}: {told}. Mend the cause, then `{command}`.")


def _counts(journal: Journal) -> dict[str, int | str]:
    found = Counter(entry.outcome for entry in journal.entries)
    return {
        "channel": journal.channel,
        "target": journal.target or next((entry.target for entry in journal.entries), ""),
        "parts": len(journal.entries),
        **{outcome.value: found[outcome] for outcome in Outcome},
    }
