"""At most once, over random histories of deliveries to a folder and to tools' APIs; 10,000: scripts/at-most-once."""

from unittest.mock import patch

import at_most_once
import pytest

from recsys.delivery.files import FileCarrier


@pytest.mark.parametrize("histories", [60, pytest.param(500, marks=pytest.mark.thorough)])
def test_nothing_arrives_twice_and_nothing_is_lost_in_so_many_histories(histories: int) -> None:
    at_most_once.happened.clear()
    at_most_once.try_sequences(histories)
    assert at_most_once.happened["settlements"] > histories / 10
    assert all(at_most_once.happened[f"deliveries, {how}"] > histories / 10 for how in at_most_once.HOW)


@pytest.mark.thorough
def test_a_delivery_that_sends_again_when_in_doubt_is_found_out() -> None:
    """The histories can tell: what is asked for is taken for lost."""

    def careless(self: FileCarrier, part: object, journal: object) -> bool:
        journal.append(part.name, "reserved", "reserved")  # type: ignore[attr-defined]
        return True

    with patch.object(FileCarrier, "_settled_by_asking", careless), pytest.raises((AssertionError, BaseExceptionGroup)):
        at_most_once.try_sequences(300, shrink=False)
