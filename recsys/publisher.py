"""The publisher: the only code that makes final names (`recsys.erasure.audiences` takes rows out afterwards).

Each file is written aside in its final folder, its size checked, synced, renamed, and the folder synced; then
`<file>.sha256`, then `manifest.json`, then `_SUCCESS`, which holds the manifest's SHA-256. Whoever finds `_SUCCESS`
finds everything the manifest names; whoever does not, reads nothing. A crash at any point leaves a folder without
`_SUCCESS`, which the next attempt clears, or a finished one, which it leaves alone.
"""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recsys import __version__
from recsys.audit import AuditedFile
from recsys.errors import AlreadyPublished, CannotPublish, NotAudited, Transient
from recsys.files import PRIVATE_FILE, PRIVATE_FOLDER, private_folder
from recsys.lock import Attempt
from recsys.manifest import MANIFEST, SUCCESS, Manifest, Published, PublishedFile, chunks, published_in
from recsys.night import Night

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Outgoing:
    """An audited file and what the manifest says about its contents."""

    audited: AuditedFile
    rows: int
    columns: tuple[str, ...]


def start_attempt(night: Night, channel: str) -> Attempt:
    """A new attempt at this channel and night: every earlier one that is still running can no longer publish."""
    path = attempt_file(night, channel)
    with _disk_errors(path):
        return Attempt.start(path)


def attempt_file(night: Night, channel: str) -> Path:
    """Where the number of the newest attempt is."""
    return night.stages / f"export_{channel}.attempt"


def publish(
    night: Night,
    channel: str,
    outgoing: Sequence[Outgoing],
    *,
    model_version: str | None,
    checks_passed: int,
    attempt: Attempt,
) -> Published:
    """Bring a channel's files of one night under their final names, in `night.audience(channel)`.

    Published days do not change: the same files again are a no-op, other bytes raise AlreadyPublished; a day of which
    rows were erased since is a no-op whatever comes. Raises
    NotAudited when a file is not, byte for byte, the one that was audited; Fenced when a newer attempt has started;
    CannotPublish when the disk is full or the folder not ours; Transient for other failures of the disk.
    """
    require_audited(night, channel, outgoing)
    folder = night.audience(channel)
    with _disk_errors(folder):
        files = tuple(_described(file) for file in sorted(outgoing, key=lambda file: file.audited.path.name))
        manifest = Manifest(
            channel=channel,
            run_date=night.run_date,
            model_version=model_version,
            code_version=__version__,
            checks_passed=checks_passed,
            files=files,
        )
        private_folder(night.shop.root)
        with _opened(night.shop.root, folder) as descriptor:
            before = published_in(descriptor, folder)
            if before:
                if not before.manifest.redacted:
                    _require_same(before.manifest, manifest, folder)
                _remove(descriptor, [name for name in _names(descriptor) if _is_aside(name)], attempt)
                os.fsync(descriptor)
                return before
            _remove(descriptor, _names(descriptor), attempt)
            for file in sorted(outgoing, key=lambda file: file.audited.path.name):
                name = file.audited.path.name
                _place(descriptor, name, _audited_bytes(file.audited), attempt)
                _place(descriptor, f"{name}.sha256", [f"{file.audited.sha256}  {name}\n".encode()], attempt)
            _place(descriptor, MANIFEST, [manifest.content], attempt)
            sha256 = hashlib.sha256(manifest.content).hexdigest()
            _place(descriptor, SUCCESS, [f"{sha256}\n".encode()], attempt)
    return Published(manifest, sha256, is_new=True)


def require_audited(night: Night, channel: str, outgoing: Sequence[Outgoing]) -> None:
    """Raise NotAudited unless every file is one that the gate of this night let pass, CannotPublish for wrong names."""
    if not outgoing:
        raise NotAudited(f"{channel}: nothing to publish. An empty audience is a file with a header only.")
    for file in outgoing:
        if not isinstance(file.audited, AuditedFile):
            raise NotAudited(f"{channel}: only files with the gate's verdict can be published.")
        if file.audited.run_date != night.run_date:
            raise NotAudited(
                f"{file.audited.path.name}: audited for {file.audited.run_date}, but this is the night of "
                f"{night.run_date}. Run the gate of this night."
            )
    names = [file.audited.path.name for file in outgoing]
    wrong = [name for name in names if name in {MANIFEST, SUCCESS} or name.startswith(".") or name.endswith(".sha256")]
    if wrong or len(set(names)) < len(names):
        raise CannotPublish(f"{channel}: file names must differ and not be the publisher's own: {', '.join(names)}.")


def _described(file: Outgoing) -> PublishedFile:
    return PublishedFile(
        file=file.audited.path.name,
        rows=file.rows,
        bytes=file.audited.path.stat().st_size,
        sha256=file.audited.sha256,
        columns=file.columns,
    )


@contextmanager
def _opened(root: Path, folder: Path) -> Iterator[int]:
    """A descriptor of the folder, made where it is missing; no part of the path below `root` may be a symbolic link."""
    descriptor = os.open(root, _FOLDER)
    try:
        for part in folder.relative_to(root).parts:
            with suppress(FileExistsError):
                os.mkdir(part, PRIVATE_FOLDER, dir_fd=descriptor)
            os.fsync(descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.fchmod(descriptor, PRIVATE_FOLDER)
        yield descriptor
    finally:
        os.close(descriptor)


def _require_same(before: Manifest, now: Manifest, folder: Path) -> None:
    """Files decide: the same files from a newer version of the code, or after other warnings, are the same day."""
    old = {file.file: file for file in before.files}
    new = {file.file: file for file in now.files}
    differences = [
        f"{name}: published {_short(old.get(name))}, now {_short(new.get(name))}"
        for name in sorted({*old, *new})
        if name not in old or name not in new or old[name].sha256 != new[name].sha256
    ]
    if differences:
        raise AlreadyPublished(
            f"{folder}: this day was published with other bytes and stays as it is; nothing was changed. "
            f"{'; '.join(differences)}. Correct it with a later night."
        )


def _short(file: PublishedFile | None) -> str:
    return f"{file.rows} rows, {file.bytes} bytes, sha256 {file.sha256[:12]}" if file else "no such file"


def _names(descriptor: int) -> list[str]:
    return sorted(os.listdir(descriptor))


def _is_aside(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _remove(descriptor: int, names: Iterable[str], attempt: Attempt) -> None:
    """Remove what earlier attempts left, only while this one is the newest."""
    for name in names:
        with attempt.current(), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=descriptor)


def _place(descriptor: int, name: str, content: Iterable[bytes], attempt: Attempt) -> None:
    """Give a file its final name: whole, synced, mode 0600, and only while this attempt is the newest."""
    aside = f".{name}.{attempt.number}.{os.getpid()}.tmp"
    try:
        _write(descriptor, aside, content)
        with attempt.current():
            os.rename(aside, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside, dir_fd=descriptor)
        raise
    os.fsync(descriptor)


def _write(descriptor: int, aside: str, content: Iterable[bytes]) -> None:
    file = os.open(aside, _NEW_FILE, PRIVATE_FILE, dir_fd=descriptor)
    try:
        expected = 0
        for chunk in content:
            expected += len(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(file, rest) :]
        if os.fstat(file).st_size != expected:
            raise OSError(errno.EIO, "the file is not as long as what was written")
        os.fsync(file)
    finally:
        os.close(file)


def _audited_bytes(audited: AuditedFile) -> Iterator[bytes]:
    """The file's bytes. Raises NotAudited after the last of them when they are not those that were audited."""
    digest = hashlib.sha256()
    for chunk in chunks(str(audited.path)):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != audited.sha256:
        raise NotAudited(
            f"{audited.path.name}: its bytes changed after the gate checked them. Nothing of it was published; "
            "run render and the gate again."
        )


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """What the disk says, in our words and sorted into what waiting can and what it cannot mend."""
    try:
        yield
    except OSError as error:
        reason = f"{path}: {error.strerror or error}."
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CannotPublish(f"{reason} Publishing did not finish; free space, then run export again.") from error
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}:
            raise CannotPublish(
                f"{reason} A part of this path is a symbolic link or not what it should be; final names are made in "
                "plain folders only. Put it right, then run export again."
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise CannotPublish(f"{reason} Give this user the folder, mode 0700, then run export again.") from error
        raise Transient(f"{reason} Publishing did not finish; run export again.") from error
