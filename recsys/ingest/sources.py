"""Finds the files and query results of a night and takes their bytes, each once, into `landing/` under their hash."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path

from recsys.config import Shop
from recsys.errors import ConfigError, SourceRefused, Transient
from recsys.files import private_folder, sha256_of, sync_folder
from recsys.table_settings import TableSource

CHUNK = 1 << 20


@dataclass(frozen=True, order=True)
class SourceFile:
    """Bytes that one path brought last. `path` is relative to the shop file, or `query:<table>`."""

    table: str
    path: str
    sha256: str
    file_date: date | None


def find(shop: Shop, table: str, source: TableSource) -> list[tuple[str, Path, date | None]]:
    """Name, path and date of every file that the table's globs match now, ordered by name.

    Raises ConfigError for a path outside the sandbox, through a symbolic link, or whose date cannot be read.
    """
    sandbox = [(shop.folder / folder).resolve() for folder in shop.sandbox]
    found: dict[str, Path] = {}
    for pattern in source.files:
        for match in glob(str(shop.folder / pattern), recursive=True):  # noqa: PTH207 (Path.glob takes no ".." and no absolute pattern)
            path = Path(match)
            if not path.is_file():
                continue
            if path.is_symlink() or not any(folder in path.resolve().parents for folder in sandbox):
                raise ConfigError(
                    f"{shop.path}: tables.{table}.files: {path} is a link or lies outside {shop.sandbox}; "
                    "copy it inside, or add the folder that the company delivers to under 'sandbox'."
                )
            found[os.path.relpath(path, shop.folder)] = path
    return [(name, found[name], _date_of(shop, table, source, name)) for name in sorted(found)]


def _date_of(shop: Shop, table: str, source: TableSource, name: str) -> date | None:
    if source.file_date is None:
        return None
    match = re.search(source.file_date, name)
    if match is None:
        raise ConfigError(
            f"{shop.path}: tables.{table}.file_date: {source.file_date!r} does not match the path {name!r}."
        )
    try:
        return date.fromisoformat(match.group(1))
    except ValueError:
        raise ConfigError(
            f"{shop.path}: tables.{table}.file_date: found {match.group(1)!r} in {name!r}, "
            "allowed: a real date, YYYY-MM-DD."
        ) from None


def belongs(shop: Shop, table: str, source: TableSource, name: str) -> bool:
    """Whether a path, taken now or on an earlier night, is one of the table's source as it is configured now."""
    if source.query is not None:
        return name == query_name(table)
    patterns = (os.path.relpath(shop.folder / pattern, shop.folder) for pattern in source.files)
    return any(_matches(name.split("/"), pattern.split("/")) for pattern in patterns)


def query_name(table: str) -> str:
    """What stands for a path where a query brings the rows."""
    return f"query:{table}"


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def take(
    path: Path,
    name: str,
    landing: Path,
    redacted: Mapping[str, str] | None = None,
    clean: Callable[[Path], bool] | None = None,
) -> tuple[str, str]:
    """Copy a file into `landing/<sha256>` unless it is there already; the file's hash, and that of what is kept of it.

    `clean` takes out what must not be kept, before the copy gets its name, and says whether there was anything;
    `redacted` are files of which less was kept before. A sidecar `<file>.sha256`, when there is one, must agree. Raises
    SourceRefused when it does not, and Transient when the file changes while it is read.
    """
    before = path.stat()
    sha256 = sha256_of(path)
    sidecar = path.with_name(path.name + ".sha256")
    if sidecar.is_file() and sidecar.read_text(encoding="ascii", errors="replace").split()[:1] != [sha256]:
        raise SourceRefused(
            f"{name}: its bytes do not have the checksum in {sidecar.name}; it is damaged or only half delivered."
        )
    kept = (redacted or {}).get(sha256, sha256)
    if not (landing / kept).exists():
        private_folder(landing)
        aside = landing / f".{sha256}.{os.getpid()}.tmp"
        digest = hashlib.sha256()
        try:
            with (
                path.open("rb") as reading,
                os.fdopen(
                    os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
                ) as writing,
            ):
                while chunk := reading.read(CHUNK):
                    digest.update(chunk)
                    writing.write(chunk)
                writing.flush()
                os.fsync(writing.fileno())
            if digest.hexdigest() != sha256:
                raise Transient(f"{name}: changed while it was read; it is still being delivered. Try again later.")
            kept = _cleaned(aside, sha256, kept, clean)
            if aside.exists():
                aside.replace(landing / kept)
                sync_folder(landing)
        finally:
            aside.unlink(missing_ok=True)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Transient(f"{name}: changed while it was read; it is still being delivered. Try again later.")
    return sha256, kept


def _cleaned(aside: Path, sha256: str, kept: str, clean: Callable[[Path], bool] | None) -> str:
    """The hash of what is kept of a copy. One that cannot be read any more, and of which less was kept, is not kept."""
    try:
        return sha256_of(aside) if clean is not None and clean(aside) else sha256
    except SourceRefused:
        if kept == sha256:
            raise
        aside.unlink()
        return kept
