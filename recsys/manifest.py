"""The manifest beside published files: what they are, and whether they are still what was published."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.errors import AlreadyPublished

MANIFEST = "manifest.json"
SUCCESS = "_SUCCESS"
_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PublishedFile(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str
    rows: int
    bytes: int
    sha256: str
    columns: tuple[str, ...]


class Redaction(BaseModel):
    """Rows that were taken out of published files because people were erased: on what date, and how many."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    on: date
    rows: int


class Manifest(BaseModel):
    """What was published for one channel and night. Equal contents are equal bytes; nothing in it asks the clock.

    Fields that a later version added are skipped when an older one reads them: published days stay readable.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    channel: str
    run_date: date
    model_version: str | None
    code_version: str
    checks_passed: int
    """Critical checks that the gate passed; with a failed one there would be no manifest."""
    files: tuple[PublishedFile, ...]
    redacted: tuple[Redaction, ...] | None = None
    """Erasures since; None, and not written, when the files are what left."""

    @property
    def audience_files(self) -> tuple[PublishedFile, ...]:
        """The file that names the audience, or its parts in their order; not those beside it about who left.

        Of an audience that is parted by consent signal, those of every signal.
        """
        own = re.compile(rf"{re.escape(self.channel)}((?:_un|_)personalised(?:_add)?)?_\d{{8}}(?:_(\d+))?\.\w+")
        found = [
            ((match[1] or "", int(match[2] or 1)), file) for file in self.files if (match := own.fullmatch(file.file))
        ]
        return tuple(file for _, file in sorted(found, key=lambda part: part[0]))

    @property
    def audience_file(self) -> PublishedFile | None:
        """The first of `audience_files`; None when it is not there."""
        return next(iter(self.audience_files), None)

    @property
    def audience_rows(self) -> int:
        """How many rows the audience's own file has, all parts together."""
        return sum(file.rows for file in self.audience_files)

    @property
    def content(self) -> bytes:
        """The bytes of `manifest.json`."""
        unwritten = None if self.redacted else {"redacted"}
        text = json.dumps(self.model_dump(mode="json", exclude=unwritten), indent=2, sort_keys=True, ensure_ascii=False)
        return f"{text}\n".encode()


@dataclass(frozen=True)
class Published:
    """What lies under the final names; `is_new` False when it lay there before."""

    manifest: Manifest
    manifest_sha256: str
    is_new: bool


def read_published(folder: Path) -> Published | None:
    """What was published in a folder, every hash looked up again; None where nothing is published.

    Raises AlreadyPublished when what lies there is no longer what was published.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return None
    try:
        return published_in(descriptor, folder)
    finally:
        os.close(descriptor)


def published_in(descriptor: int, folder: Path) -> Published | None:
    """`read_published` of a folder that is open already; its path is for messages only."""
    if SUCCESS not in os.listdir(descriptor):
        return None
    changed = f"{folder}: {{}} is not what was published there. Restore this folder from a backup."
    try:
        content = b"".join(chunks(MANIFEST, descriptor))
        promised = b"".join(chunks(SUCCESS, descriptor)).decode("ascii").strip()
        if hashlib.sha256(content).hexdigest() != promised:
            raise AlreadyPublished(changed.format(MANIFEST))
        manifest = Manifest.model_validate_json(content)
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        raise AlreadyPublished(changed.format(f"{MANIFEST} or {SUCCESS}")) from None
    for file in manifest.files:
        if _hash_in(descriptor, file.file) != file.sha256:
            raise AlreadyPublished(changed.format(file.file))
    return Published(manifest, promised, is_new=False)


def chunks(name: str, descriptor: int | None = None) -> Iterator[bytes]:
    """A file's bytes, a megabyte at a time; the name is relative to the open folder, and symbolic links are refused."""
    file = os.open(name, _FILE, dir_fd=descriptor)
    try:
        while chunk := os.read(file, _CHUNK):
            yield chunk
    finally:
        os.close(file)


def _hash_in(descriptor: int, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in chunks(name, descriptor):
            digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()
