"""Two nights taken through dbt once per test session: the toy shop's, and one of people who are hard to decide about.

The hard ones all gave consent by e-mail unless said otherwise:

| customer | what is hard | decided |
|---|---|---|
| old, new | share an address, written differently; new was updated later | old duplicate_address, new exported |
| twin-a, twin-b | share an address, updated at the same moment | twin-b duplicate_address |
| free, barred | share an address; barred is suppressed by customer id | free no_consent |
| wife, husband | share an address; husband withdrew, once, long ago | wife no_consent |
| pause, back | asked for a pause until the day after the night, and until the night's own | paused, exported |
| vague | asked for a pause until "spring" | paused |
| private | allows personalisation on one channel and denies it on another; bought a hammer | exported, popular list |
| unasked, lapsed | never asked about personalisation; allowed it until the night's end | exported, popular list |
| quit, moved | withdrew by e-mail, and moved wants letters instead | no_consent; only moved is learnt from |
| kid, adult | may turn 16 this year, and did at the latest last year | minor, exported |
| both | granted and withdrew at the same moment | no_consent |
| silent | never said anything | no_consent |
| called | suppressed by phone number, for all channels | suppressed |
| renamed, returned | withdrew under an old id; returned said yes again since | no_consent, exported |
| borrowed | consented under an old id only | no_consent |
| banned, bounced | suppressed under an old id; a message bounced | suppressed |
| listless | gets no recommendation | too_few_items |
| today, ends | the consent ends with the night, and a second later | consent_expired, exported |

Visitor chain-1 was seen with chain-2, a customer nobody knows, who was seen with chain-3, who is new. chain-1 ordered.
Visitor tie was seen with old, and later with new.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from once import once
from recorded_dbt import Recorded
from thorough import THOROUGH
from toy import ROWS, RUN_DATE, write_raw, write_shop

from recsys import decide, features
from recsys.config import load_shop
from recsys.night import Night
from recsys.tables import write_parquet


@dataclass(frozen=True)
class Built:
    """A night after the stages features and decide, with what they returned."""

    night: Night
    features: dict[str, int | str]
    decide: dict[str, int | str]

    @property
    def target(self) -> Path:
        return self.night.shop.root / "dbt" / "target"

    def sql(self, model: str) -> str:
        """A model as dbt compiled it, for laws that are tried on many small tables without starting dbt each time."""
        found = (self.target / "compiled" / "recsys" / "models").rglob(f"{model}.sql")
        # dbt keeps the SQL of unit tests in folders called like the file that declares them
        (path,) = (path for path in found if not any(part.endswith(".yml") for part in path.parts))
        return path.read_text()


TOY_LISTS = {
    "ann": ["individual mint", "buy_again green", "popular hammer"],
    "ben": ["buy_again green"],
    "cat": ["individual black", "buy_again green"],
    "dan": ["individual drill"],
    "eve": ["popular green", "popular saw"],
    "fay": ["popular green", "popular drill"],
}


REASONS = {
    "run_date": pl.Date(),
    "customer_id": pl.String(),
    "rank": pl.Int32(),
    "place": pl.Int32(),
    "product_id": pl.String(),
    "because_product_id": pl.String(),
    "kind": pl.String(),
    "share": pl.Float64(),
}
TOY_REASONS = [
    ("ann", 1, 1, "mint", "green", "bought", 0.61),
    ("ann", 1, 2, "mint", "black", "bought", 0.3),
    ("ann", 2, 1, "green", "black", "looked_at", 0.4),
    ("cat", 1, 1, "black", "green", "bought", 0.09),
]


def recommend(night: Night, lists: dict[str, list[str]], reasons: list[tuple[object, ...]] | None = None) -> None:
    """Write `recommendations.parquet` as the recommend stage would, from "source product" per customer and rank.

    "source product topic" is a product that an interest in the topic put there. `reasons`: the rows of
    `reasons.parquet` behind their date; none unless given.
    """
    why = [(night.run_date, *row) for row in reasons or []]
    write_parquet(pl.DataFrame(why, schema=REASONS, orient="row"), night.reasons)
    rows = [
        (
            night.run_date,
            customer,
            rank,
            product,
            source,
            1 / rank,
            "als-1",
            "interested" if topic else None,
            topic,
            None,
        )
        for customer, entries in sorted(lists.items())
        for rank, (source, product, topic) in enumerate(((*entry.split(), None)[:3] for entry in entries), start=1)
    ]
    schema = {
        "run_date": pl.Date(),
        "customer_id": pl.String(),
        "rank": pl.Int32(),
        "product_id": pl.String(),
        "source": pl.String(),
        "score": pl.Float64(),
        "model_version": pl.String(),
        "because": pl.String(),
        "topic": pl.String(),
        "context": pl.String(),
    }
    write_parquet(pl.DataFrame(rows, schema=schema, orient="row"), night.recommendations)


def build(night: Night, lists: dict[str, list[str]], reasons: list[tuple[object, ...]] | None = None) -> Built:
    counts = features.run(night)
    recommend(night, lists, reasons)
    return Built(night, counts, decide.run(night))


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Night], Built]) -> Built:
    """A night of a toy shop that `make` takes through dbt once for all test processes. A test that changes it copies
    it first.
    """

    def built(folder: Path) -> None:
        made = make(Night(write_shop(folder), RUN_DATE))
        (folder / "returned.json").write_text(json.dumps([made.features, made.decide]))

    folder = once(factory, name, built)
    counts, decided = json.loads((folder / "returned.json").read_text())
    return Built(Night(load_shop(folder / "shop.yaml"), RUN_DATE), counts, decided)


@pytest.fixture(scope="session")
def toy_night(tmp_path_factory: pytest.TempPathFactory) -> Built:
    def make(night: Night) -> Built:
        write_raw(night)
        return build(night, TOY_LISTS, TOY_REASONS)

    return shared(tmp_path_factory, "toy", make)


@pytest.fixture(scope="session")
def record(toy_night: Built) -> Recorded:
    return Recorded(toy_night.night, toy_night.target)


@pytest.fixture(scope="module")
def recorded_dbt(record: Recorded) -> Iterator[None]:
    """In this module the statements that dbt ran for the toy night are run instead of dbt."""
    with record.instead_of_dbt():
        yield


def unless_thorough(record: Recorded) -> AbstractContextManager[None]:
    return nullcontext() if THOROUGH else record.instead_of_dbt()


@pytest.fixture(scope="module")
def dbt_if_thorough(record: Recorded) -> Iterator[None]:
    """For what is about files that dbt itself may leave: `recorded_dbt` in the quick tests alone."""
    with unless_thorough(record):
        yield


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _customer(customer_id: str, updated: str = "2026-01-01", **fields: object) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "created_at": _at("2026-01-01"),
        "updated_at": _at(updated),
    } | fields


def _consent(customer_id: str, status: str = "granted", **fields: object) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "channel": "email",
        "purpose": "marketing",
        "status": status,
        "occurred_at": _at("2026-01-01"),
    } | fields


def _suppression(channel: str, **who: object) -> dict[str, object]:
    return {"channel": channel, "reason": "do_not_contact", "occurred_at": _at("2026-01-01")} | who


def _pause(customer_id: str, value: str, **fields: object) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "topic": "all",
        "choice": "pause_until",
        "value": value,
        "occurred_at": _at("2026-03-01"),
    } | fields


HARD_CUSTOMERS = [
    _customer("old", email="One@Example.com"),
    _customer("new", "2026-02-01", email="one@example.COM"),
    _customer("twin-a", email="twins@example.com"),
    _customer("twin-b", email="twins@example.com"),
    _customer("free", email="flat@example.com"),
    _customer("barred", "2026-03-01", email="flat@example.com"),
    _customer("both"),
    _customer("silent"),
    _customer("wife", email="HOME@example.com"),
    _customer("husband", email="home@example.com"),
    _customer("pause"),
    _customer("back"),
    _customer("vague"),
    _customer("kid", birth_year=2010),
    _customer("adult", birth_year=2009),
    _customer("private"),
    _customer("unasked"),
    _customer("lapsed"),
    _customer("quit"),
    _customer("moved"),
    _customer("renamed"),
    _customer("returned"),
    _customer("borrowed"),
    _customer("banned"),
    _customer("bounced"),
    _customer("called", phone="+49 (151) 123-45.67"),
    _customer("listless"),
    _customer("today"),
    _customer("ends"),
]


def make_hard(night: Night) -> Built:
    names = [str(row["customer_id"]) for row in HARD_CUSTOMERS]
    plain = [name for name in names if name not in {"both", "silent", "today", "ends", "borrowed"}]
    write_raw(
        night,
        customers=HARD_CUSTOMERS,
        consents=[
            *(_consent(name) for name in plain),
            *(_consent(name, purpose="personalisation") for name in plain if name not in {"unasked", "lapsed"}),
            _consent("private", "denied", channel="sms", purpose="personalisation"),
            _consent("lapsed", purpose="personalisation", valid_until=_at("2026-04-01T00:00:00")),
            _consent("quit", "withdrawn", occurred_at=_at("2026-01-02")),
            _consent("moved", "withdrawn", occurred_at=_at("2026-01-02")),
            _consent("moved", channel="post"),
            _consent("both"),
            _consent("both", "withdrawn"),
            _consent("husband", "withdrawn", occurred_at=_at("2026-01-02")),
            _consent("husband", channel="sms", occurred_at=_at("2026-03-01")),
            _consent("silent", channel="sms"),
            _consent("renamed-old", "withdrawn", occurred_at=_at("2026-02-01")),
            _consent("renamed", channel="sms"),
            _consent("returned-old", "withdrawn", occurred_at=_at("2025-02-01")),
            _consent("borrowed-old"),
            _consent("borrowed", purpose="personalisation"),
            _consent("silent", purpose="personalisation"),
            _consent("today", valid_until=_at("2026-04-01T00:00:00")),
            _consent("ends", valid_until=_at("2026-04-01T00:00:01")),
        ],
        suppressions=[
            _suppression("all", phone="+491511234567"),
            _suppression("email", customer_id="barred"),
            _suppression("sms", customer_id="free"),
            _suppression("email", customer_id="banned-old"),
        ],
        contacts=[{"message_id": "m1", "customer_id": "bounced", "channel": "email", "sent_at": _at("2026-02-01")}],
        engagements=[{"message_id": "m1", "event_type": "bounce", "occurred_at": _at("2026-02-02")}],
        preferences=[
            _pause("pause", "2026-04-01"),
            _pause("back", "2026-06-01", occurred_at=_at("2026-01-01")),
            _pause("back", "2026-03-31"),
            _pause("vague", "spring"),
        ],
        order_lines=[
            *(
                row | {"customer_id": None, "visitor_id": "chain-1", "order_id": "o1"}
                for row in ROWS["order_lines"]
                if row["order_id"] == "o1"
            ),
            *(
                row | {"customer_id": name, "order_id": name}
                for name in ("kid", "private", "unasked", "lapsed", "quit", "moved", "called")
                for row in ROWS["order_lines"]
                if row["product_id"] == "hammer" and row["customer_id"] == "dan"
            ),
        ],
        web_events=[
            {
                "event_id": "e1",
                "visitor_id": "chain-3",
                "customer_id": "chain-2",
                "event_type": "search",
                "occurred_at": _at("2026-01-02"),
            },
            {
                "event_id": "e2",
                "visitor_id": "tie",
                "product_id": "saw",
                "event_type": "wishlist",
                "occurred_at": _at("2026-03-02"),
            },
        ],
        identities=[
            {"visitor_id": "chain-1", "customer_id": "chain-2", "seen_at": _at("2026-01-01")},
            {"visitor_id": "chain-3", "customer_id": "new", "seen_at": _at("2026-01-01")},
            {"visitor_id": "tie", "customer_id": "new", "seen_at": _at("2026-01-02")},
            {"visitor_id": "tie", "customer_id": "old", "seen_at": _at("2026-01-01")},
            {"visitor_id": "old", "customer_id": "new", "seen_at": _at("2026-01-01")},
            {"visitor_id": "lost", "customer_id": "found", "seen_at": _at("2026-01-01")},
            *(
                {"visitor_id": f"{name}-old", "customer_id": name, "seen_at": _at("2026-01-01")}
                for name in ("renamed", "returned", "borrowed", "banned")
            ),
        ],
    )
    return build(night, {name: ["popular green", "popular black"] for name in names if name not in {"listless", "kid"}})


@pytest.fixture(scope="session")
def hard_night(record: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built by dbt where tests are thorough."""
    with unless_thorough(record):
        return shared(tmp_path_factory, "hard", make_hard)
