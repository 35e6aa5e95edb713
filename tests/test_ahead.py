"""The next thing is made while one is worked on, and nothing is lost, reordered or swallowed."""

from collections.abc import Iterator
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.channels.ahead import ahead


@given(st.lists(st.integers(), max_size=20))
def test_everything_comes_once_and_in_order(numbers: list[int]) -> None:
    assert list(ahead(iter(numbers))) == numbers


def test_the_second_is_made_while_the_first_is_worked_on() -> None:
    second = Event()

    def things() -> Iterator[str]:
        yield "first"
        second.set()
        yield "second"

    for thing in ahead(things()):
        assert second.wait(30), thing


def test_what_cannot_be_made_is_told_after_what_could() -> None:
    def things() -> Iterator[str]:
        yield "first"
        raise ValueError("no second")

    coming = ahead(things())
    assert next(coming) == "first"
    with pytest.raises(ValueError, match="no second"):
        next(coming)
