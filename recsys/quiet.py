"""Loggers that say less for a while."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_warnings(of: str) -> Iterator[None]:
    """Let a logger of this name tell of warnings and errors alone."""
    talker = logging.getLogger(of)
    before = talker.level
    talker.setLevel(logging.WARNING)
    try:
        yield
    finally:
        talker.setLevel(before)
