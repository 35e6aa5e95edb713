"""Files inside the product's own folders: hashing, and writing that leaves either the old file or the whole new one.

Final names outside these folders are made by `recsys.publisher` alone.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
REHEARSAL = ".rehearsal-"
"""How the folders begin in which a night is rehearsed; nothing in them is to stay."""


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700 together with its missing parents."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        path = folder
    return path


def sync_folder(folder: Path) -> None:
    """Make renames inside the folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Call `write` with a temporary path beside `path`, then rename it into place, mode 0600.

    A process that dies leaves the old file or the new one. `durable` also waits until the disk has it, so that a
    machine that dies does too; what a stage can make again does without.
    """
    private_folder(path.parent)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(aside)
        aside.chmod(PRIVATE_FILE)
        if durable:
            with aside.open("rb") as stream:
                os.fsync(stream.fileno())
        aside.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that died left below a data root that is held: of `replace_file`, and of rehearsals.

    Temporary files of living processes stay.
    """
    for rehearsal in folder.glob(f"{REHEARSAL}*"):
        shutil.rmtree(rehearsal)
    for aside in folder.rglob(".*.tmp"):
        owner = aside.suffixes[-2].removeprefix(".") if len(aside.suffixes) > 1 else ""
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            aside.unlink(missing_ok=True)


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write JSON with sorted keys and a final newline: the same content is always the same bytes."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8"), durable=durable)


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
