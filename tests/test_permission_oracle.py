"""50,000 people made up, through the real dbt models and the re-count: nobody is treated other than the oracle says."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import toy
from dbt_nights import Built, build
from permission_oracle import CHANNELS, Oracle

from expectations import permission
from recsys.night import Night
from recsys.vocabulary import Status

PEOPLE = 50_000
MIN_ITEMS = 2
END = datetime(2026, 4, 1)
MOMENTS = [END - timedelta(days=days) for days in (400, 90, 30, 30, 7, 1)] + [END - timedelta(microseconds=1), END]
ENDS = [None, None, None, END - timedelta(days=20), END - timedelta(microseconds=1), END]
ENDS += [END + timedelta(microseconds=1), END + timedelta(days=300)]
PAUSES = ["2026-03-30", "2026-03-31", "2026-04-01", " 2026-05-01 ", "2026-04-31", "2026-4-30", "30.04.2026", "", None]
YEARS = [None, None, 1950, 1990, 2009, 2009, 2010, 2011, 2024]
SHOP = """
channels:
""" + "".join(
    f"  - {{name: to_{channel}, kind: crm_file, contact_channel: {channel}, slots: 3, min_items: {MIN_ITEMS}}}\n"
    for channel in CHANNELS
)

Rows = list[dict[str, Any]]


def odd_email(draw: random.Random, number: int) -> str | None:
    """One of a few people's addresses, written in some way; now and then none, or one that is none."""
    plain = f"person{number}@example.com"
    ways: list[Callable[[], str | None]] = [
        lambda: plain,
        lambda: plain,
        plain.upper,
        lambda: f" {plain.title()}\t",
        lambda: f"\u00a0{plain}\u200b",
        lambda: f"person{number} at example.com",
        lambda: f"person{number}@home@example.com",
        lambda: "  ",
        lambda: None,
    ]
    return draw.choice(ways)()


def odd_phone(draw: random.Random, number: int) -> str | None:
    digits = f"+4915{10_000_000 + number}"
    ways: list[Callable[[], str | None]] = [
        lambda: digits,
        lambda: f" {digits[:5]} {digits[5:8]}-{digits[8:]}",
        lambda: f"{digits[:3]} ({digits[3:6]}) {digits[6:9]}.{digits[9:]}",
        lambda: f"{digits[:6]}/{digits[6:]}\u202f",
        lambda: f"015{number}",
        lambda: "-",
        lambda: None,
        lambda: None,
    ]
    return draw.choice(ways)()


@dataclass(frozen=True)
class World:
    """The made-up rows, by table, and how long everybody's list is."""

    tables: dict[str, Rows]
    items: dict[str, int]

    def oracle(self, night: Night) -> Oracle:
        return Oracle(
            *(self.tables[table] for table in ("customers", "consents", "suppressions", "preferences")),
            run_date=night.run_date,
            end=night.end,
            min_age=night.shop.permission.min_age,
        )


def imagine(size: int, seed: int) -> World:
    """People who share two thirds as many addresses as they are, with a history each. The same seed, the same world."""
    draw = random.Random(seed)  # noqa: S311 - made-up people, not secrets
    names = [f"c{number:06d}" for number in range(size)]
    pool = size * 2 // 3
    updated = [None, *(datetime(2026, 1, day) for day in range(1, 6))]
    customers = [
        {
            "customer_id": name,
            "email": odd_email(draw, draw.randrange(pool)),
            "phone": odd_phone(draw, draw.randrange(pool)),
            "birth_year": draw.choice(YEARS) if draw.random() < 0.3 else None,
            "updated_at": draw.choice(updated),
        }
        for name in names
    ]
    consents = []
    for name in names:
        mood = draw.choices(["granted", "mixed", "refuses"], [6, 3, 1])[0]
        status = {"granted": ["granted"], "mixed": ["granted", "granted", "denied", "withdrawn"], "refuses": ["denied"]}
        for _ in range(draw.choice([0, 1, 3, 6, 9])):
            statement = {
                "customer_id": name,
                "channel": draw.choice(["email", "email", *CHANNELS]),
                "purpose": draw.choice(["marketing", "marketing", "personalisation"]),
                "status": draw.choice(status[mood]),
                "occurred_at": draw.choice(MOMENTS),
                "valid_until": draw.choice(ENDS) if draw.random() < 0.4 else None,
            }
            consents += [statement] * draw.choice([1, 1, 1, 2])
    suppressions = []
    for _ in range(size // 12):
        key = draw.choice(["customer_id", "email", "phone"])
        number = draw.randrange(pool)
        value = {
            "customer_id": lambda: draw.choice([*draw.choices(names, k=9), "nobody"]),
            "email": lambda number=number: odd_email(draw, number) or "person0@example.com",
            "phone": lambda number=number: odd_phone(draw, number) or "+4930123456",
        }[key]()
        suppressions.append(
            {
                key: value,
                "channel": draw.choice(["all", "email", "email", *CHANNELS]),
                "reason": draw.choice(["unsubscribe", "hard_bounce", "complaint", "do_not_contact", "erased"]),
                "occurred_at": draw.choice(MOMENTS),
            }
        )
    preferences = [
        {
            "customer_id": draw.choice(names),
            "topic": draw.choice(["all", "tea"]),
            "choice": draw.choice(["pause_until", "pause_until", "interested"]),
            "value": draw.choice(PAUSES),
            "occurred_at": draw.choice(MOMENTS),
        }
        for _ in range(size // 3)
    ]
    for rows in (consents, suppressions, preferences):
        draw.shuffle(rows)
    tables = {"customers": customers, "consents": consents, "suppressions": suppressions, "preferences": preferences}
    return World(tables, {name: draw.choice([0, 1, 2, 2, 3]) for name in names})


@pytest.fixture(scope="module")
def world() -> World:
    return imagine(PEOPLE, seed=7)


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Built:
    path = toy.write_shop(tmp_path_factory.mktemp("people")).path
    text = path.read_text()
    path.write_text(text[: text.index("channels:")] + SHOP.lstrip())
    night = Night(toy.load_shop(path), toy.RUN_DATE)
    toy.write_raw(night, order_lines=[], web_events=[], identities=[], **world.tables)
    products = ["green", "black", "mint"]
    return build(night, {name: [f"popular {p}" for p in products[:n]] for name, n in world.items.items()})


@pytest.fixture(scope="module")
def oracle(built: Built, world: World) -> Oracle:
    return world.oracle(built.night)


def test_the_models_decide_like_the_oracle_about_everybody(built: Built, oracle: Oracle, world: World) -> None:
    decisions = pl.read_parquet(built.night.decisions / "fct_decisions.parquet")
    decided = {
        (name, to): status for name, to, status in decisions.select("customer_id", "contact_channel", "status").rows()
    }
    expected = oracle.statuses(world.items, MIN_ITEMS)
    differing = {key: (decided.get(key), status) for key, status in expected.items() if decided.get(key) != status}
    assert differing == {}
    assert len(decided) == len(expected) == PEOPLE * len(CHANNELS)
    counts = Counter(expected.values())
    not_about_permission = {Status.NO_SEND_WINDOW, Status.CONTROL, Status.CAPPED, Status.NOTHING_NEW}
    assert set(counts) == set(Status) - not_about_permission
    assert min(counts.values()) > 100, counts


def test_the_models_and_the_recount_know_whose_behaviour_may_be_used(built: Built, oracle: Oracle) -> None:
    expected = {name for name in oracle.customers if oracle.may_personalise(name)}
    handed = pl.read_parquet(built.night.features / "customers.parquet")
    assert set(handed.filter("may_personalise")["customer_id"]) == expected
    assert set(handed["customer_id"]) == {name for name in oracle.customers if not oracle.is_minor(name)}
    assert set(permission.gather(built.night).personalised["customer_id"]) == expected
    assert PEOPLE * 0.05 < len(expected) < PEOPLE * 0.5


def test_the_recount_holds_back_whom_the_oracle_holds_back(built: Built, oracle: Oracle) -> None:
    """Rule by rule, about everybody and not only about those who were exported."""
    said = permission.gather(built.night)
    assert set(said.paused["customer_id"]) & oracle.customers.keys() == set(filter(oracle.is_paused, oracle.customers))
    assert set(said.minors["customer_id"]) == set(filter(oracle.is_minor, oracle.customers))
    for channel in CHANNELS:
        suppressed = permission.suppressed(said, said.customers, channel)["customer_id"]
        assert set(suppressed) == {name for name in oracle.customers if oracle.is_suppressed(name, channel)}
        objected = permission.objected(said, channel)["address"].drop_nulls()
        assert set(objected) == {address for to, address in oracle.objections if to == channel}


def test_the_same_world_again_is_the_same(tmp_path: Path) -> None:
    assert imagine(200, seed=3) == imagine(200, seed=3)
    assert imagine(200, seed=3) != imagine(200, seed=4)
