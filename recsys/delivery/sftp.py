"""SFTP that knows whom it talks to: fsspec's file system, with the check of the server's key that it leaves out.

The key that is expected comes from the connection's extra: `host_key` ("ssh-ed25519 AAAA..."), or `known_hosts`, lines
as in the file of that name; without either from `~/.ssh/known_hosts`.
"""

import io
from pathlib import Path
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from recsys.delivery.credentials import Connection
from recsys.errors import CannotDeliver, ConfigError

PORT = 22
SECONDS = 30


class CheckedSFTP(SFTPFileSystem):  # type: ignore[misc]
    """fsspec's SFTP, connected only to a server whose key is known; makes no folders."""

    def __init__(self, host: str, *, host_keys: list[paramiko.hostkeys.HostKeyEntry], **ssh: Any) -> None:
        self._host_keys = host_keys
        super().__init__(host, host_key_policy=_Refuse(), **ssh)

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        for entry in self._host_keys:
            for name in entry.hostnames:
                self.client.get_host_keys().add(name, entry.key.get_name(), entry.key)
        self.client.set_missing_host_key_policy(self.host_key_policy)
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
        except paramiko.BadHostKeyException as error:
            raise CannotDeliver(
                f"{error.hostname}: shows another host key than the one that is known: {error.key.get_name()} "
                f"{error.key.fingerprint}, expected {error.expected_key.fingerprint}. Either it was replaced, which "
                "its operator can confirm, or somebody else answers in its place. Nothing was sent."
            ) from None
        self.ftp = self.client.open_sftp()
        self.ftp.get_channel().settimeout(SECONDS * 4)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        """Upload a file into a folder that is there: a folder that is missing is a mistake in its name."""
        self.ftp.put(lpath, self._strip_protocol(rpath))

    def close(self) -> None:
        """End the connection."""
        self.client.close()


class _Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Nobody is trusted at first sight."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise CannotDeliver(
            f"{hostname}: its host key is not known: {key.get_name()} {key.fingerprint}. Compare this fingerprint with "
            f"the operator's; if it is theirs, put the key into the connection's extra as host_key: "
            f'"{key.get_name()} {key.get_base64()}". Nothing was sent.'
        )


def connect(host: str, port: int | None, connection: Connection) -> CheckedSFTP:
    """An open connection. Raises CannotDeliver for a host key that is unknown or another one, ConfigError for a key
    of ours, or a host key in the connection, that cannot be read; and whatever paramiko raises."""
    port = port or connection.port or PORT
    return CheckedSFTP(
        host,
        host_keys=_host_keys(_known_as(host, port), connection),
        skip_instance_cache=True,
        port=port,
        username=connection.login or None,
        password=connection.password.get_secret_value() or None,
        pkey=_private_key(connection),
        allow_agent=False,
        look_for_keys=False,
        timeout=SECONDS,
        banner_timeout=SECONDS,
        auth_timeout=SECONDS,
    )


def require_complete(host: str, port: int | None, connection: Connection) -> None:
    """Raise ConfigError for what can be said without connecting: nobody to log in as, or no key to know the host by."""
    if not connection.login or not (connection.password.get_secret_value() or _private_key(connection)):
        raise ConfigError(
            f"connection '{connection.name}': no login, or neither a password nor private_key in its extra, so "
            f"{host or 'the server'} cannot be logged in to."
        )
    if not host:
        raise ConfigError(f"connection '{connection.name}': no host, and none in deliver.to. Say which server it is.")
    name = _known_as(host, port or connection.port or PORT)
    keys = paramiko.HostKeys()
    for entry in _host_keys(name, connection):
        for known in entry.hostnames:
            keys.add(known, entry.key.get_name(), entry.key)
    if keys.lookup(name) is None:
        raise ConfigError(
            f"connection '{connection.name}': no host key of {name} is known, so nothing would be sent there. Put the "
            'server\'s key into its extra as host_key: "ssh-ed25519 AAAA...", as its operator gives it.'
        )


def _known_as(host: str, port: int) -> str:
    """A server's name in known_hosts."""
    return host if port == PORT else f"[{host}]:{port}"


def _host_keys(name: str, connection: Connection) -> list[paramiko.hostkeys.HostKeyEntry]:
    expected = str(connection.extra.get("host_key") or "").strip()
    text = f"{name} {expected}" if expected else str(connection.extra.get("known_hosts") or "")
    known = Path("~/.ssh/known_hosts").expanduser()
    if not text and known.is_file():
        text = known.read_text(encoding="utf-8", errors="replace")
    found = [_entry(line.strip()) for line in text.splitlines()]
    if expected and None in found:
        raise ConfigError(
            f"connection '{connection.name}': host_key in its extra is no key; expected a text such as "
            '"ssh-ed25519 AAAA...", as the server\'s operator gives it.'
        )
    return [entry for entry in found if entry is not None]


def _entry(line: str) -> paramiko.hostkeys.HostKeyEntry | None:
    """A line of known_hosts; None for a comment, a marker, or what is no key."""
    try:
        return None if line[:1] in {"", "#", "@"} else paramiko.hostkeys.HostKeyEntry.from_line(line)
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
        return None


def _private_key(connection: Connection) -> paramiko.PKey | None:
    text = str(connection.extra.get("private_key") or "")
    passphrase = connection.extra.get("private_key_passphrase")
    if not text:
        return None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password=passphrase)
        except (paramiko.SSHException, ValueError):
            continue
    raise ConfigError(
        f"connection '{connection.name}': private_key in its extra cannot be read; expected the text of an Ed25519, "
        "ECDSA or RSA key, with private_key_passphrase when it has one."
    )
