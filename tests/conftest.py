"""Fixtures that several test modules share."""

import os

import pytest
from dbt_nights import hard_night, toy_night

__all__ = ["hard_night", "toy_night"]

LONGEST = ("test_online_retail", "test_dag", "test_cli")
"""Files that take minutes go first, so that two workers end at about the same time."""


THOROUGH = "RECSYS_THOROUGH"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep every file's own order; put the longest files first; leave thorough ones out unless they are asked for."""
    if not os.environ.get(THOROUGH):
        reason = f"takes minutes: scripts/test --thorough (or {THOROUGH}=1)"
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason=reason))
    names = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: names.get(item.path.stem, len(LONGEST)))
