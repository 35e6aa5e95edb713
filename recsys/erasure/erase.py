"""Erases customers: afterwards nothing below the data root says who they were, and they stay suppressed."""

import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from recsys import champion
from recsys.config import Shop
from recsys.contracts import CONTRACTS
from recsys.erasure import history
from recsys.erasure.audiences import Audiences
from recsys.erasure.landing import Landing
from recsys.erasure.marks import Marks
from recsys.erasure.people import MAILBOX, find
from recsys.erasure.records import Report
from recsys.erasure.screen import Screen
from recsys.errors import ConfigError, SuppressionKeyUnfit
from recsys.files import private_folder, read_json, sweep
from recsys.lock import exclusive
from recsys.suppression import memory
from recsys.suppression.key import FEWEST_BYTES, KEY_ENV, Key

log = logging.getLogger("recsys")

MOST_BYTES = 10_000_000

_REMEMBERED = """
    SELECT kind, hash, 'all' AS channel, 'erased' AS reason, $moment::TIMESTAMP AS occurred_at, $since::DATE AS since
    FROM (SELECT unnest($kinds::VARCHAR[]) AS kind, unnest($hashes::VARCHAR[]) AS hash)
"""


@dataclass(frozen=True)
class Erased:
    """What an erasure did. `unknown`: places in the request of customers that nothing was known about."""

    customers: int
    unknown: tuple[int, ...]
    counts: dict[str, int]
    channels: tuple[str, ...]
    """Whose files had reached the customers, by the report; also what earlier attempts found."""
    report: Path
    night: date | None
    """The newest published night when what it had made is gone and is to be made again."""


def read_request(path: Path) -> list[str]:
    """Customer ids from a file, one per line; empty lines are skipped. Raises ConfigError."""
    if not path.is_file() or path.is_symlink():
        raise ConfigError(f"{path}: there is no such file. Expected a text file with one customer id per line.")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES:,} bytes; this is not a list of customer ids.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text. Expected one customer id per line.") from None
    return [line for line in text.splitlines() if line.strip()]


def request_in_sandbox(shop: Shop, name: str) -> Path:
    """The path of a file of requests that a form named, relative to the shop file.

    Raises ConfigError when it is not a plain file inside one of the folders that source files may lie in.
    """
    path = shop.folder / name
    sandbox = [(shop.folder / folder).resolve() for folder in shop.sandbox]
    if "\0" in name or not path.is_file() or path.is_symlink() or not any(f in path.resolve().parents for f in sandbox):
        raise ConfigError(
            f"requests: {name!r} is no file inside {shop.sandbox} (sandbox in the shop file); allowed: a text file "
            "with one customer id per line there, named relative to the shop file."
        )
    return path.resolve()


def erase(shop: Shop, customers: Sequence[str], on: date) -> Erased:
    """Erase customers, as of a date, from everything below the data root; and finish erasures that were interrupted.

    They are suppressed at once on every night that is not published yet; when published nights are made again, from the
    date on. May be run again at any time. First their ids and addresses are remembered as keyed hashes, then everything
    that matches any remembered erasure is taken out. Raises ConfigError for a request without ids or with one that
    cannot be one, and for a date later than the day after the newest night; SuppressionKeyUnfit without the key;
    Transient while a stage holds the data root.
    """
    customers = _checked(customers)
    root = private_folder(shop.root)
    with exclusive(root):
        _check_date(root, on)
        sweep(root)
        key = memory.key_of(root / "published")
        if key is None:
            raise SuppressionKeyUnfit(
                f"Erasing needs {KEY_ENV}: without it nobody could be recognised when their data is delivered again. "
                f"Make one with `openssl rand -hex {FEWEST_BYTES}`, keep it for good, and set it for every night."
            )
        before = _erased_ids(root)
        people = find(shop, key, customers, before)
        hashes = [key.hash(customer) for customer in customers]
        report = Report(root, on, key.hash("\n".join(sorted(customers)))[:12])
        known = people.identifiers.select("kind", "hash", "person")
        received = Audiences(root, Marks(key, known)).received()
        report.begin(hashes, [hashes[place - 1] for place in people.unknown], received)
        _remember(root, key, people.identifiers, on)
        counts = _redact(shop, on)
        path = report.finish(counts)
        night = _to_rebuild(shop)
    log.info("erase: %d customers, %d of them not known", len(customers), len(people.unknown))
    return Erased(len(customers), people.unknown, counts, _channels(path), path, night)


def _check_date(root: Path, on: date) -> None:
    """Raise ConfigError for a date that no night can have: nothing asks the clock, so a wrong year would stay."""
    newest = max(memory.days({path.name for path in (root / "nights").glob("*")}), default=None)
    if newest is None:
        return
    latest = newest + timedelta(days=1)
    if on > latest:
        raise ConfigError(
            f"date: {on} is later than the day after the newest night ({newest}); allowed: up to {latest}. "
            "Name the day of the request, or the latest day that is allowed."
        )


def _channels(report: Path) -> tuple[str, ...]:
    persons = read_json(report)["persons"]
    return tuple(sorted({entry["channel"] for person in persons for entry in person["received"]}))


def _checked(customers: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(customer.strip() for customer in customers if customer.strip()))
    if not distinct:
        raise ConfigError("customers: none were named. Name at least one id, exactly as in the shop's own data.")
    pattern = CONTRACTS["customers"].column("customer_id").pattern or ""
    for place, customer in enumerate(distinct, start=1):
        if not re.fullmatch(pattern, customer) or any(unicodedata.category(c) == "Cs" for c in customer):
            raise ConfigError(f"customers: number {place} cannot be an id: it is too long or has control characters.")
    return distinct


def _erased_ids(root: Path) -> frozenset[str]:
    path = root / "published" / memory.ERASED
    if not path.exists():
        return frozenset()
    return frozenset(pl.read_parquet(path).filter(pl.col("kind") == "customer_id")["hash"])


def _remember(root: Path, key: Key, identifiers: pl.DataFrame, on: date) -> None:
    """First the suppression, then the list of what is erased: nobody on the list is ever without the suppression."""
    reachable = (
        identifiers.filter(pl.col("kind").is_in(["customer_id", "email", MAILBOX, "phone"]))
        .select(pl.col("kind").replace(MAILBOX, "email"), "hash")
        .unique(maintain_order=True)
    )
    given: dict[str, object] = {
        "kinds": reachable["kind"].to_list(),
        "hashes": reachable["hash"].to_list(),
        "moment": datetime.combine(on, time()),
        "since": min(on, memory.first_unpublished(root / "published")),
    }
    memory.add(private_folder(root / "published"), key, _REMEMBERED, given)
    memory.add_erased(root / "published", key, identifiers.filter(pl.col("kind") != MAILBOX), on)


def _redact(shop: Shop, on: date) -> dict[str, int]:
    screen = Screen.open(shop)
    assert screen is not None  # noqa: S101 (there is a key, and something was just remembered)
    everybody = pl.read_parquet(screen.erased).select("kind", "hash", person=pl.lit(""))
    audiences = Audiences(shop.root, Marks(screen.key, everybody))
    rankers = champion.withdraw(shop.root)
    nights = Landing(screen).redact(partial(audiences.withdraw, on=on))
    return {
        "nights": nights,
        "rankers_withdrawn": rankers,
        **audiences.redact(on),
        "history_rows": history.redact(screen),
    }


def _to_rebuild(shop: Shop) -> date | None:
    """The newest published night, when what it had made is gone."""
    published = {path.parent.name for path in (shop.root / "published").glob("audiences/*/*/_SUCCESS")}
    nights = [shop.root / "nights" / day for day in sorted(published, reverse=True)]
    newest = next((night for night in nights if (night / "inputs.json").is_file()), None)
    if newest is None or (newest / "recommendations.parquet").exists():
        return None
    return date.fromisoformat(newest.name)
