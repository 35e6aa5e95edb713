"""Work on one thing while the next is made: both cores are busy, and no more than two things are in memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(things: Iterator[T]) -> Iterator[T]:
    """The things in their order, the next one in the making. What making it raises is raised where it is asked for."""
    with ThreadPoolExecutor(1) as aside:
        coming = aside.submit(next, things, None)
        while (thing := coming.result()) is not None:
            coming = aside.submit(next, things, None)
            yield thing
