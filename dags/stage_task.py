"""How Airflow runs a stage: which shop, which errors may be retried, and who ends an orphan."""

import errno
import os
import signal
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from airflow.sdk.exceptions import AirflowFailException

REPOSITORY = Path(__file__).resolve().parents[1]
POOL = "duckdb_writer"
"""One slot: DuckDB has one writing process at a time. Made by `airflow pools set duckdb_writer 1 "one writer"`."""

PERMANENT = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
"""Errors of the operating system that the next try would meet again."""


def writes(hours: int) -> dict[str, object]:
    """default_args of tasks that write below the data root: one at a time, and tried again for what may pass."""
    return {
        "pool": POOL,
        "retries": 3,
        "retry_delay": timedelta(seconds=120),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=hours),
    }


def shop_file() -> Path:
    """The shop file that the environment variable RECSYS_SHOP names; the demo shop's when it is not set."""
    return Path(os.environ.get("RECSYS_SHOP") or REPOSITORY / "examples" / "demo" / "shop.yaml")


def date_of_night(conf: Mapping[str, object], logical_date: datetime | None) -> str:
    """The night that a run is for: its conf's run_date, else its logical date as a day in the brand's time zone."""
    from recsys.config import load_shop
    from recsys.errors import ConfigError

    with final_unless_transient():
        unknown = sorted(set(conf) - {"run_date"})
        if unknown:
            raise ConfigError(f"conf: {', '.join(unknown)}: no such setting, allowed: run_date")
        if conf.get("run_date"):
            return date.fromisoformat(str(conf["run_date"])).isoformat()
        if logical_date is None:
            raise ConfigError('this run has no logical date; trigger it with conf such as {"run_date": "2026-08-31"}')
        return logical_date.astimezone(load_shop(shop_file()).zone).date().isoformat()


def channels_of_night(run_date: str) -> list[str]:
    """Everything that is exported: the shop's channels and the catalogue."""
    from recsys.export import channels
    from recsys.pipeline import open_night

    with final_unless_transient():
        return channels(open_night(shop_file(), run_date))


def run_stage(stage: str, run_date: str, channel: str | None = None) -> dict[str, int | str]:
    """Run one stage of the night; its counts.

    The process dies with its supervisor, so that no two attempts write at once; and at once when it is told to end,
    which every stage survives, where Airflow would let it go on.
    """
    from recsys.pipeline import open_night, record, work_of
    from recsys.process import die_with_parent

    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with final_unless_transient():
        night = open_night(shop_file(), run_date)
        if stage == "gate":
            from expectations import gate

            return record(night, stage, gate.run)
        with connections_of([channel] if channel and stage == "deliver" else [], run_date):
            return record(night, f"{stage}.{channel}" if channel else stage, work_of(stage, channel))


def deliveries_of_night(run_date: str, *, approve: bool) -> list[str]:
    """Audiences to deliver at once or, with `approve`, channels whose files wait for a person to approve them."""
    from recsys.delivery.approval import waits
    from recsys.delivery.audiences import channels, owner_of
    from recsys.pipeline import open_night

    with final_unless_transient():
        night = open_night(shop_file(), run_date)
        audiences = [name for name in channels(night) if waits(night, name) is approve]
        return [*dict.fromkeys(owner_of(night, name) for name in audiences)] if approve else audiences


def question_about(run_date: str, channel: str) -> dict[str, str]:
    """What a person is asked before a channel's files leave: counts and the page, nobody's data."""
    from recsys.delivery.audiences import audience_of, setting_of
    from recsys.pipeline import open_night

    with final_unless_transient():
        night = open_night(shop_file(), run_date)
        files = audience_of(night, channel).published.manifest.files
        lines = [f"- {file.file}: {file.rows:,} rows" for file in files]
        return {
            "subject": f"{night.shop.shop}, night of {run_date}: deliver {channel}?",
            "body": "\n".join(
                (f"To {setting_of(night, channel).to}:", "", *lines, "", f"Look at the page first: `{night.page}`")
            ),
        }


def deliver_approved_files(run_date: str, channel: str, by: Mapping[str, object] | None) -> dict[str, int | str]:
    """Put a person's approval on record, then deliver the channel with its check-in; counts."""
    from recsys.delivery.approval import approve_channel
    from recsys.pipeline import open_night

    with final_unless_transient():
        night = open_night(shop_file(), run_date)
        approve_channel(night, channel, str((by or {}).get("name") or "a user of Airflow"))
    return redeliver_of({"run_date": run_date, "channel": channel})


def redeliver_of(conf: Mapping[str, object]) -> dict[str, int | str]:
    """Deliver again what is certainly not there; parts and what is known of them. See `recsys.delivery.redeliver`."""
    from recsys.delivery.audiences import channels
    from recsys.delivery.redeliver import redeliver_night, require_ends
    from recsys.errors import ConfigError
    from recsys.pipeline import open_night, tell_again
    from recsys.process import die_with_parent

    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with final_unless_transient():
        unknown = sorted(set(conf) - {"run_date", "channel", "settle", "parts"})
        if unknown or not conf.get("run_date"):
            raise ConfigError("conf: expected run_date and, if wanted, channel, settle and parts")
        night = open_night(shop_file(), str(conf["run_date"]))
        channel, settle = conf.get("channel") or None, conf.get("settle") or None
        parts = [part.strip() for part in str(conf.get("parts") or "").split(",") if part.strip()]
        with connections_of(channels(night), night.run_date.isoformat()):
            ends = redeliver_night(night, channel, settle, parts)  # type: ignore[arg-type]
        told = tell_again(night.shop.path, night.run_date, print)
        counts = require_ends(night, ends)
    if not told:
        raise AirflowFailException(f"Delivered, but the page or the analysts' database of {night.run_date} is not new")
    return counts


@contextmanager
def connections_of(audiences: Iterable[str], run_date: str) -> Iterator[None]:
    """Airflow's connections that deliveries name, as variables of this process, and only while they are needed.

    What is set in the environment already goes first. A connection that Airflow does not have either is missed later.
    """
    import json

    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from recsys.delivery.audiences import setting_of
    from recsys.delivery.credentials import is_set, variable_of
    from recsys.pipeline import open_night

    names = {
        name for audience in audiences if (name := setting_of(open_night(shop_file(), run_date), audience).connection)
    }
    mine = []
    try:
        for name in sorted(names):
            if not is_set(name):
                with suppress(AirflowNotFoundException):
                    found = Connection.get(name)
                    content = {key: getattr(found, key) for key in ("host", "port", "login", "password", "extra")}
                    os.environ[variable_of(name)] = json.dumps(content)
                    mine.append(variable_of(name))
        yield
    finally:
        for variable in mine:
            os.environ.pop(variable, None)


def tune_night(conf: Mapping[str, object]) -> dict[str, int | str]:
    """Tune and evaluate on the conf's run_date, else on the newest night whose features are made; counts."""
    from recsys.config import load_shop
    from recsys.errors import ConfigError
    from recsys.evaluation.weekly import newest, run
    from recsys.pipeline import open_night, record
    from recsys.process import die_with_parent

    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with final_unless_transient():
        unknown = sorted(set(conf) - {"run_date"})
        if unknown:
            raise ConfigError(f"conf: {', '.join(unknown)}: no such setting, allowed: run_date")
        run_date = str(conf["run_date"]) if conf.get("run_date") else newest(load_shop(shop_file()).root)
        return record(open_night(shop_file(), run_date), "tune", run)


def erase_customers_of(conf: Mapping[str, object]) -> dict[str, int]:
    """Erase the customers of a file of requests, then make the newest published night again; counts, and no ids."""
    from recsys.config import load_shop
    from recsys.erasure.erase import erase, read_request, request_in_sandbox
    from recsys.errors import ConfigError
    from recsys.pipeline import rebuild_night
    from recsys.process import die_with_parent

    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with final_unless_transient():
        if set(conf) != {"requests", "date"}:
            raise ConfigError("conf: expected exactly the settings requests and date")
        try:
            on = date.fromisoformat(str(conf["date"]))
        except ValueError:
            raise ConfigError("date: allowed: a date such as 2026-08-31") from None
        shop = load_shop(shop_file())
        done = erase(shop, read_request(request_in_sandbox(shop, str(conf["requests"]))), on)
        is_whole = done.night is None or rebuild_night(shop.path, done.night, print)
    if not is_whole:
        raise AirflowFailException(f"They are erased, but the night of {done.night} is not made again: see its page")
    return {"customers": done.customers, "not_known": len(done.unknown), **done.counts}


@contextmanager
def final_unless_transient() -> Iterator[None]:
    """Only what may be different in a minute is retried: Transient and errors of the operating system.

    Everything else fails the task for good, its message last in the log. Of an error that is not ours only the kind
    and the place are told: an engine's text may quote a customer's row.
    """
    from recsys.errors import RecsysError, Transient

    try:
        yield
    except RecsysError as error:
        if isinstance(error, Transient):
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from None
    except OSError as error:
        if error.errno in PERMANENT:
            message = f"{os.strerror(error.errno or 0)}: make room or give permission, then clear the task"
            raise AirflowFailException(message) from None
        raise
    except Exception as error:  # noqa: BLE001 (told by kind and place, then raised again)
        places = "".join(traceback.format_tb(error.__traceback__))
        raise AirflowFailException(f"{type(error).__name__}: a fault in the program, at\n{places}") from None
