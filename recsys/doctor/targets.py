"""Whether a channel's files could be delivered: what the shop file and the environment say and, when asked, the target.

Without `reach` no target is contacted. With it each is opened and looked at; nothing is ever written there.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

from recsys.channel_settings import Channel
from recsys.channels.check_in import CHECK_IN
from recsys.delivery.api import Clock, Pace
from recsys.delivery.apis import APIS, for_a_person
from recsys.delivery.credentials import Connection
from recsys.delivery.settings import Deliver
from recsys.delivery.stage import connection_of
from recsys.doctor.finding import Finding
from recsys.errors import RecsysError
from recsys.night import Night

ONCE = Pace(between=0.0, tries=1, connect=10.0, answer=20.0)
"""Who is only looked at is not asked again."""


def findings(
    night: Night, channel: Channel, files: tuple[str, ...], recipients: int, *, reach: bool
) -> Iterator[Finding]:
    """Where the channel's files would go and whether they could; `files` are those that tonight would have."""
    about, setting = f"{channel.name}: target", channel.deliver
    if setting is None:
        where = f"files stay under {night.shop.root / 'published'}, for a person to import."
        yield Finding("ready", about, where)
        return
    try:
        connection = connection_of(setting, channel.name)
        fault = _lacking(setting, connection)
        seen = _seen(setting, connection) if reach and fault is None else ""
    except RecsysError as error:
        yield Finding("stops", about, str(error))
        return
    if fault is not None:
        sentence, advice = fault
        yield Finding("stops", about, sentence, advice)
        return
    asked = "; a person approves first" if setting.approve else ""
    yield Finding("ready", about, f"delivered to {setting.to}{asked}{f': {seen}' if seen else ''}.")
    if setting.approve and not recipients:
        yield Finding("missing", about, "a person would be asked to approve files without a recipient.")
    by_hand = for_a_person(channel.name, files, f".{channel.format}") if setting.api else []
    by_hand += [f"{CHECK_IN}{channel.name}"] if setting.api and channel.asks else []
    if by_hand:
        told = f"{setting.to} does not take {', '.join(by_hand)}: left under {night.shop.root / 'published'}."
        yield Finding("missing", f"{channel.name}: by hand", told, "A person imports it, every night.")


def _lacking(setting: Deliver, connection: Connection) -> tuple[str, str] | None:
    """What would keep files from arriving, as far as it shows from here. Raises ConfigError for the connection's."""
    from fsspec import get_filesystem_class

    from recsys.delivery import sftp
    from recsys.delivery.targets import SSH, require_own_host

    if setting.api is not None:
        APIS[setting.api].load().connected(connection, Clock(), ONCE).client.close()
        return None
    url, folder = urlsplit(setting.to), setting.local_folder
    if folder is not None:
        if not folder.is_dir():
            return f"{folder}: no such folder, and none is made.", f"Make it: mkdir -p {folder}"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{folder}: files may not be written there.", "Give this user permission to write."
        return None
    require_own_host(setting.to, connection)
    if url.scheme in SSH:
        sftp.require_complete(url.hostname or connection.host, url.port, connection)
        return None
    try:
        get_filesystem_class(url.scheme)
    except ImportError as error:
        return f"{url.scheme}: {error}.", "Install that package beside this one."
    return None


def _seen(setting: Deliver, connection: Connection) -> str:
    """What the target shows when it is opened for reading. Raises CannotDeliver, ConfigError or Transient."""
    if setting.api is not None:
        carrier = APIS[setting.api].load()
        api = carrier.connected(connection, Clock(), ONCE)
        with closing(api.client):
            return carrier.look(api)
    from recsys.delivery.targets import open_target

    with closing(open_target(setting.to, connection)) as target:
        return f"opened, {target.look():,} files there"
