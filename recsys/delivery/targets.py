"""Folders that published files are delivered to, by URL: whatever fsspec opens, each with what it can promise.

Most targets rename: a file is put under a name that no tool looks for, looked at, then named in one step. Object stores
do not: S3 shows an object whole or not at all, refuses a damaged one by its checksum, and tools are told of every
object that appears, so a temporary one would be taken for a file.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Part
from recsys.delivery.settings import LOCAL
from recsys.errors import CannotDeliver, ConfigError, RecsysError, Transient
from recsys.files import sync_folder

SSH = frozenset({"sftp", "ssh"})
S3 = frozenset({"s3", "s3a"})
OBJECT_STORES = S3 | {"gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Found:
    """What lies under a name: its size, the SHA-256 of its bytes as they are there; None what may not be looked at."""

    size: int | None
    sha256: str | None
    receipt: str

    def is_part(self, part: Part) -> bool:
        """Whether it is the part, as far as it can be looked at."""
        return self.size in {None, part.bytes} and self.sha256 in {None, part.sha256}


class Target:
    """A folder somewhere else. Every failure is a Transient or a CannotDeliver, without credentials in its text."""

    renames = True
    """Puts a file under a temporary name first; naming it is one step, and never undone."""

    def __init__(self, fs: Any, folder: str, shown: str, connection: Connection) -> None:
        self.fs, self.folder, self.shown, self.connection = fs, folder.rstrip("/"), shown, connection

    def find(self, name: str) -> Found | None:
        """What lies under a name, its bytes read back where that is allowed; None when nothing does."""
        path = f"{self.folder}/{name}"
        with self._errors(f"looking for {name}"):
            self.fs.invalidate_cache()
            try:
                info = self.fs.info(path)
            except FileNotFoundError:
                return None
            if info["type"] != "file":
                raise CannotDeliver(f"{self.shown}: {name} is there, and no file. Take it away, then deliver again.")
            try:
                sha256 = self._sha256(path)
            except PermissionError:
                sha256 = None
            except FileNotFoundError:  # taken between the two looks
                return None
        size = info.get("size")
        said = f"sha256 {sha256}" if sha256 else f"{size} bytes" if size is not None else "there"
        return Found(size, sha256, " ".join(filter(None, (said, f"etag {info['ETag']}" if info.get("ETag") else ""))))

    def look(self) -> int:
        """How many entries the folder has. Raises CannotDeliver or Transient when it cannot be listed."""
        with self._errors("listing the folder"):
            self.fs.invalidate_cache()
            return len(self.fs.ls(self.folder or "/", detail=False))

    def upload(self, source: Path, name: str) -> None:
        """Put a file under a name, in place of what an earlier attempt left there."""
        with self._errors(f"uploading {name}"):
            self.fs.put_file(str(source), f"{self.folder}/{name}")

    def rename(self, name: str, final: str) -> None:
        """Give an uploaded file its final name."""
        with self._errors(f"naming {final}"):
            self.fs.mv(f"{self.folder}/{name}", f"{self.folder}/{final}")

    def remove(self, name: str) -> None:
        """Remove an uploaded file that has no final name; nothing when there is none."""
        with self._errors(f"removing {name}"):
            if self.fs.exists(f"{self.folder}/{name}"):
                self.fs.rm_file(f"{self.folder}/{name}")

    def close(self) -> None:
        """End the connection, where there is one."""
        if hasattr(self.fs, "close"):
            self.fs.close()

    def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        with self.fs.open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RecsysError:
            raise
        except Exception as error:  # noqa: BLE001 (every kind of target has errors of its own)
            raise told(error, f"{self.shown}: {doing}", self.connection) from None


class LocalFolder(Target):
    """A folder of this machine: what is acknowledged has reached the disk."""

    def upload(self, source: Path, name: str) -> None:
        """As everywhere, then wait for the disk."""
        super().upload(source, name)
        with self._errors(f"uploading {name}"), (Path(self.folder) / name).open("rb") as stream:
            os.fsync(stream.fileno())

    def rename(self, name: str, final: str) -> None:
        """As everywhere, then wait for the disk."""
        super().rename(name, final)
        with self._errors(f"naming {final}"):
            sync_folder(Path(self.folder))


class ObjectStore(Target):
    """A bucket: an object appears whole, under its final name, or not at all."""

    renames = False

    def look(self) -> int:
        """How many objects there are; a folder of a bucket need not exist."""
        with self._errors("listing the bucket"):
            self.fs.invalidate_cache()
            try:
                return len(self.fs.ls(self.folder, detail=False))
            except FileNotFoundError:
                self.fs.ls(self.folder.partition("/")[0], detail=False)
                return 0

    def upload(self, source: Path, name: str) -> None:
        """One request, never repeated by itself; S3 also refuses to replace an object."""
        with self._errors(f"uploading {name}"):
            if "s3" in self.fs.protocol:
                self.fs.retries = 1
                self.fs.put_file(str(source), f"{self.folder}/{name}", mode="create", max_concurrency=1)
            else:
                self.fs.put_file(str(source), f"{self.folder}/{name}")


def told(error: Exception, doing: str, connection: Connection) -> RecsysError:
    """An error of a target in our words: CannotDeliver for what waiting does not mend, else Transient."""
    said = f"{doing}: {type(error).__name__}: {connection.scrubbed(error)}"
    number = getattr(error, "errno", None)
    lasting = {"AuthenticationException", "BadAuthenticationType", "NoCredentialsError", "PasswordRequiredException"}
    if number in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        return CannotDeliver(f"{said}. Make room there, then deliver again.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CannotDeliver(f"{said}. The folder must be there; make it, or mend deliver.to in the shop file.")
    if isinstance(error, PermissionError) or type(error).__name__ in lasting:
        return CannotDeliver(f"{said}. Mend the connection, or what its login may do there, then deliver again.")
    return Transient(f"{said}. Deliver again; what may have arrived is looked for first.")


def open_target(to: str, connection: Connection) -> Target:
    """The target at a URL, connected. Raises CannotDeliver, ConfigError or Transient when it cannot be reached."""
    url = urlsplit(to)
    require_own_host(to, connection)
    try:
        if url.scheme in SSH:
            from recsys.delivery import sftp

            fs = sftp.connect(url.hostname or connection.host, url.port, connection)
            return Target(fs, url.path, to, connection)
        fs, folder = fsspec.url_to_fs(to, skip_instance_cache=True, **_options(url.scheme, connection))
    except RecsysError:
        raise
    except Exception as error:  # noqa: BLE001 (every kind of target has errors of its own)
        raise told(error, f"{to}: connecting", connection) from None
    if url.scheme in OBJECT_STORES:
        return ObjectStore(fs, folder, to, connection)
    return (LocalFolder if url.scheme in LOCAL else Target)(fs, folder, to, connection)


def require_own_host(to: str, connection: Connection) -> None:
    """Raise ConfigError where a connection is for another host than the URL's. Object stores have buckets there."""
    url = urlsplit(to)
    if connection.host and url.hostname and url.scheme not in OBJECT_STORES and connection.host != url.hostname:
        raise ConfigError(
            f"connection '{connection.name}': is for another host than {url.hostname} in deliver.to; credentials go "
            "to the host that they were made for, and nowhere else."
        )


def _options(scheme: str, connection: Connection) -> dict[str, Any]:
    """fsspec's settings from a connection; of targets it has no words of its own for, `extra` as it is."""
    password, extra = connection.password.get_secret_value(), dict(connection.extra)
    if scheme in LOCAL:
        return {}
    if scheme in S3:
        wanted = {
            "key": connection.login,
            "secret": password,
            "token": extra.get("aws_session_token"),
            "endpoint_url": extra.get("endpoint_url"),
        }
        client = {"region_name": extra["region_name"]} if extra.get("region_name") else {}
        kept = {name: value for name, value in wanted.items() if value}
        # a request that is repeated by itself may deliver twice
        return kept | {"client_kwargs": client, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
    wanted = {"host": connection.host, "port": connection.port, "username": connection.login, "password": password}
    return {name: value for name, value in wanted.items() if value} | extra
