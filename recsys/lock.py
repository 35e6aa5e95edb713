"""One writer at a time, twice over: a lock of the operating system, and a number that only the newest attempt holds.

The lock keeps two stages from writing below one data root. It ends with the process, but a process can outlive its
supervisor. So every attempt to publish also takes the next number, and looks whether it is still the newest one at the
very moment a file gets its final name.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import SystemRandom

from recsys.errors import Fenced, Transient
from recsys.files import PRIVATE_FILE, private_folder

WAIT_SECONDS = 60.0
_DIGITS = 20
_held: set[tuple[int, int, Path]] = set()


@contextmanager
def exclusive(root: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the data root for writing. A thread that holds it already may enter again.

    Raises Transient, naming the process that holds it, when it does not come free within `wait_seconds`.
    """
    key = (os.getpid(), threading.get_ident(), root.resolve())
    if key in _held:
        yield
        return
    with _locked(private_folder(root) / "lock", wait_seconds) as descriptor:
        os.pwrite(descriptor, f"{os.getpid():<{_DIGITS}}\n".encode(), 0)
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)
            os.ftruncate(descriptor, 0)


@dataclass(frozen=True)
class Attempt:
    """One attempt at something, numbered from 1 in the file at `path`; the highest number is the current attempt."""

    path: Path
    number: int

    @classmethod
    def start(cls, path: Path) -> "Attempt":
        """A new attempt: from here on every earlier one is fenced."""
        private_folder(path.parent)
        with _locked(path, WAIT_SECONDS) as descriptor:
            number = _number(descriptor, path) + 1
            os.pwrite(descriptor, f"{number:0{_DIGITS}}\n".encode(), 0)
            os.fsync(descriptor)
        return cls(path, number)

    @contextmanager
    def current(self) -> Iterator[None]:
        """What is done inside is done by the newest attempt: none can start before it ends. Raises Fenced otherwise."""
        with _locked(self.path, WAIT_SECONDS) as descriptor:
            newest = _number(descriptor, self.path)
            if newest != self.number:
                raise Fenced(
                    f"{self.path}: attempt {self.number} stopped before making a final name, because attempt {newest} "
                    "has taken over. Nothing is to be done; look at the newer attempt."
                )
            yield


def _number(descriptor: int, path: Path) -> int:
    text = os.pread(descriptor, _DIGITS, 0)
    if text and not text.isdigit():
        raise Fenced(f"{path}: does not hold the number of an attempt. Remove this file and run the stage again.")
    return int(text or 0)


@contextmanager
def _locked(path: Path, wait_seconds: float) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        until = time.monotonic() + wait_seconds
        while not _try_lock(descriptor):
            if time.monotonic() >= until:
                raise Transient(
                    f"{path}: held by {_holder(descriptor)} for more than {wait_seconds:g} seconds. "
                    "Wait for it, or end it if it is stuck, then run this stage again."
                )
            time.sleep(SystemRandom().uniform(0.02, 0.2))
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, _DIGITS, 0).strip()
    return f"process {int(text)}" if text.isdigit() and not text.startswith(b"0") else "another process"
