"""How Airflow runs a stage: which shop, which errors may be retried, and who ends an orphan."""

import errno
import os
from pathlib import Path

from airflow.sdk.exceptions import AirflowFailException

REPOSITORY = Path(__file__).resolve().parents[1]
POOL = "duckdb_writer"
"""One slot: DuckDB has one writing process at a time. Made by `airflow pools set duckdb_writer 1 "one writer"`."""

PERMANENT = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
"""Errors of the operating system that the next try would meet again."""


def shop_file() -> Path:
    """The shop file that the environment variable RECSYS_SHOP names; the demo shop's when it is not set."""
    return Path(os.environ.get("RECSYS_SHOP") or REPOSITORY / "examples" / "demo" / "shop.yaml")


def run_stage(stage: str, run_date: str, channel: str | None = None) -> dict[str, int | str]:
    """Run one stage of the night; its counts.

    Only what may be different in a minute is retried: Transient and errors of the operating system. Everything else
    fails the task for good, its message last in the log. The process dies with its supervisor, so that no two attempts
    write at once.
    """
    from recsys.errors import RecsysError, Transient
    from recsys.pipeline import open_night, record, work_of
    from recsys.process import die_with_parent

    die_with_parent()
    try:
        night = open_night(shop_file(), run_date)
        if stage == "gate":
            from expectations import gate

            return record(night, stage, gate.run)
        return record(night, f"{stage}.{channel}" if channel else stage, work_of(stage, channel))
    except RecsysError as error:
        if isinstance(error, Transient):
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from None
    except OSError as error:
        if error.errno in PERMANENT:
            message = f"{os.strerror(error.errno or 0)}: make room or give permission, then clear the task"
            raise AirflowFailException(message) from error
        raise
    except Exception as error:
        raise AirflowFailException(f"{type(error).__name__}: a fault in the program, see the traceback") from error
