"""Fixtures that several test modules share."""

import os
import subprocess
import sys

import pytest
from dbt_nights import dbt_if_thorough, hard_night, record, recorded_dbt, toy_night
from hypothesis import settings
from thorough import THOROUGH, tries

__all__ = ["dbt_if_thorough", "hard_night", "record", "recorded_dbt", "toy_night"]

LONGEST = (
    *("test_online_retail", "test_dag", "test_delivery_dag", "test_weekly", "test_canaries", "test_every_channel"),
    *("test_at_most_once", "test_api_delivery", "test_messages_oracle", "test_erasure", "test_dbt_project"),
    *("test_ingest", "test_targets", "test_gate", "test_feeds", "test_why"),
)
"""Files that take minutes go first, so that two workers end at about the same time."""

settings.register_profile("laws", max_examples=tries(100), deadline=None)
settings.load_profile("laws")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep every file's own order; put the longest files first; leave thorough ones out unless they are asked for."""
    if not THOROUGH:
        reason = "takes minutes: scripts/test --thorough (or RECSYS_THOROUGH=1)"
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason=reason))
    names = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: names.get(item.path.stem, len(LONGEST)))


OWN_PROCESS = "RECSYS_TEST_OWN_PROCESS"


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that forks runs in a process of its own: where other tests have used polars' threads, a forked child may
    wait for them forever."""
    if pyfuncitem.get_closest_marker("forks") is None or OWN_PROCESS in os.environ:
        return None
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {OWN_PROCESS: "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    done = subprocess.run(
        command, cwd=pyfuncitem.config.rootpath, env=own, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return True
