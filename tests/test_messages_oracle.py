"""5,000 made-up schedules, through the real models and the re-count: nobody is treated other than the oracle says."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import toy
from compiled_nights import Compiled
from dbt_nights import Built, recommend
from messages_oracle import TICK, MessageOracle, day_begins, zones_of
from permission_oracle import CHANNELS, Oracle

from expectations import evidence as evidence_of
from expectations import messages, permission
from recsys import ledger
from recsys.channels import render
from recsys.night import Night
from recsys.tables import write_parquet
from recsys.vocabulary import Status

PEOPLE = 420
ZONES = ["Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Chatham"]
ZONES += ["Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "Antarctica/Troll"]
COUNTRIES = ["DE", "US", "FR", "RU", "AU", "BR", "NZ", "XX", None]
CAPS = {
    "none": "[]",
    "one a day": "[{contact_channel: email, days: 1, most: 1}, {contact_channel: sms, days: 1, most: 1}]",
    "week": "[{contact_channel: email, days: 7, most: 4}, {contact_channel: sms, days: 3, most: 1}, "
    "{days: 7, most: 6}]",
    "hours": "[{contact_channel: email, hours: 36, most: 2}, {contact_channel: push, hours: 12, most: 1}]",
    "across": "[{hours: 24, most: 2}, {days: 5, most: 5}, {contact_channel: email, days: 1, most: 2}]",
    "long": "[{days: 30, most: 9}, {contact_channel: email, hours: 200, most: 3}]",
}
QUIET = {
    "none": "[]",
    "night": '[{from: "21:00", to: "08:00"}]',
    "odd": '[{from: "00:00", to: "02:30"}, {contact_channel: sms, from: "20:15", to: "09:00"}]',
    "narrow": '[{from: "15:00", to: "09:00"}]',
}
NIGHTS = [
    ("2026-03-31", "UTC", "none", "night"),
    ("2026-03-28", "Europe/Berlin", "week", "odd"),
    ("2026-03-29", "UTC", "hours", "odd"),
    ("2026-10-24", "Europe/Berlin", "across", "night"),
    ("2026-10-31", "America/Los_Angeles", "one a day", "odd"),
    ("2026-11-01", "UTC", "long", "narrow"),
    ("2026-12-31", "Pacific/Auckland", "week", "night"),
    ("2028-02-28", "UTC", "across", "narrow"),
    ("2028-02-29", "Europe/Berlin", "hours", "night"),
    ("2026-04-23", "Africa/Cairo", "across", "odd"),
    ("2026-04-04", "Australia/Lord_Howe", "long", "night"),
    ("2026-09-26", "America/Los_Angeles", "across", "none"),
]
SHOP = """\
shop: toy
timezone: {zone}
caps: {caps}
caps_own_campaigns: ["ours_*", exact]
quiet_hours: {quiet}
control_share: 0.1
currency: EUR
"""
AUDIENCES = """\
channels:
  - {name: letters, kind: email_file, contact_channel: email, slots: 3, min_items: 2, skip_unchanged: true}
  - {name: texts, kind: crm_file, contact_channel: sms, slots: 2, min_items: 1}
  - {name: second_letters, kind: email_file, contact_channel: email, slots: 2, min_items: 1}
  - {name: pushes, kind: crm_file, contact_channel: push, slots: 2, min_items: 2, skip_unchanged: true}
"""
PRODUCTS = ["green", "black", "mint"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Schedule:
    """A night's made-up rows: raw tables, the ledger's entries, and how long everybody's list is."""

    tables: dict[str, Rows]
    recipients: Rows
    items: Rows
    lengths: dict[str, int]
    same_person: dict[str, str]


def imagine(draw: random.Random, night: Night) -> Schedule:
    """People who share addresses, with messages around the edges of every window."""
    names = [f"c{number:03d}" for number in range(PEOPLE)]
    old_ids = {f"old-{name}": name for name in draw.sample(names, 60)}
    day = night.run_date + timedelta(days=1)
    customers: Rows = [
        {
            "customer_id": name,
            "email": f"person{draw.randrange(PEOPLE * 3 // 4)}@example.com" if draw.random() < 0.9 else None,
            "phone": f"+49151{draw.randrange(PEOPLE * 3 // 4):07d}" if draw.random() < 0.8 else None,
            "timezone": draw.choice([*ZONES, *ZONES, "Mars/Olympus", None, None]),
            "country": draw.choice(COUNTRIES),
            "birth_year": None,
            "created_at": datetime(2020, 1, 1),
            "updated_at": datetime(2020, 1, draw.randint(1, 28)),
        }
        for name in names
    ]
    consents = [
        {"customer_id": name, "channel": channel, "purpose": "marketing", "status": "granted"}
        | {"occurred_at": datetime(2020, 1, 1)}
        for name in names
        for channel in ("email", "sms", "push")
        if draw.random() < 0.9
    ]
    people = {row["customer_id"]: row for row in customers}
    edges = [datetime.combine(day, time()) - timedelta(hours=hours) for hours in (12, 24, 36, 200)]
    senders = [*names, *names, *old_ids, "nobody"]
    contacts = []
    for number in range(PEOPLE * 5):
        who = draw.choice(senders)
        begins = day_begins(
            zones_of(people.get(old_ids.get(who, who), {}), night.shop)[0][0],
            day - timedelta(days=draw.choice([0, 0, 1, 2, 4, 6, 29])),
        )
        moment = draw.choice([begins, draw.choice(edges) + timedelta(hours=draw.randint(0, 12))])
        moment += draw.choice([TICK, -TICK, timedelta(0), timedelta(seconds=draw.randint(-90_000, 90_000))])
        row = {"message_id": f"m{number}", "customer_id": who, "sent_at": moment}
        row |= {"channel": draw.choice(["email", "email", "sms", "push", "post"])}
        contacts.append(row | {"campaign": draw.choice([None, "letter", "letter", "ours_7", "exact", "exactly"])})
    recipients: Rows = []
    for back in range(1, 9):
        run_date = night.run_date - timedelta(days=back)
        for who in draw.sample([*names, *old_ids], PEOPLE // 4):
            known = people[old_ids.get(who, who)]
            entry = {"run_date": run_date, "campaign": "recommendations", "customer_id": who}
            letter = entry | {"channel": "letters", "contact_channel": "email"}
            letter["address"] = draw.choice([known["email"], "person3@example.com"])
            audience = draw.choice(["letters", "texts", "both letters", "asked", "asked too"])
            if audience in {"letters", "both letters", "asked too"}:
                recipients.append(letter)
            if audience == "texts":
                recipients.append(entry | {"channel": "texts", "contact_channel": "sms", "address": None})
            if audience == "both letters":
                recipients.append(letter | {"channel": "second_letters"})
            if audience in {"asked", "asked too"}:
                recipients.append(letter | {"channel": "check_in", "campaign": "check_in"})
    lengths = {name: draw.choice([0, 1, 2, 3, 3]) for name in names}
    items = []
    for channel in ("letters", "pushes", "second_letters"):
        for name in draw.sample(names, PEOPLE // 3):
            for back in draw.sample([1, 2, 3], draw.choice([1, 2])):
                shown = draw.choice([PRODUCTS[: lengths[name]], PRODUCTS[:2], PRODUCTS[1:], PRODUCTS])
                items += [
                    {"run_date": night.run_date - timedelta(days=back), "channel": channel, "customer_id": name}
                    | {"rank": rank, "product_id": product}
                    for rank, product in enumerate(shown, start=1)
                ]
    links = [{"visitor_id": old, "customer_id": name, "seen_at": datetime(2020, 1, 1)} for old, name in old_ids.items()]
    tables = {"customers": customers, "consents": consents, "contacts": contacts, "identities": links}
    return Schedule(tables, recipients, items, lengths, old_ids)


def open_night(folder: Path, run_date: str, zone: str, caps: str, quiet: str) -> Night:
    path = toy.write_shop(folder).path
    text = path.read_text()
    head = SHOP.format(zone=zone, caps=CAPS[caps], quiet=QUIET[quiet])
    tables = text[text.index("data_root:") : text.index("caps:")]
    path.write_text(head + tables + AUDIENCES)
    return Night(toy.load_shop(path), date.fromisoformat(run_date))


def write_ledger(night: Night, schedule: Schedule) -> None:
    for book, rows in ((ledger.RECIPIENTS, schedule.recipients), (ledger.ITEMS, schedule.items)):
        frame = pl.DataFrame(rows, schema=book.schema, orient="row")
        write_parquet(frame, night.raw / "ledger" / book.name / "past.parquet")


def unchanged(night: Night, schedule: Schedule) -> set[tuple[str, str]]:
    """Customers and channels of the shop whose newest list on record is tonight's."""
    lists: dict[tuple[str, str], dict[date, list[str]]] = {}
    for row in schedule.items:
        nights = lists.setdefault((row["customer_id"], row["channel"]), {})
        nights.setdefault(row["run_date"], []).append(row["product_id"])
    slots = {channel.name: channel.slots for channel in night.shop.channels}
    return {
        (name, channel)
        for (name, channel), nights in lists.items()
        if nights[max(nights)] == PRODUCTS[: min(schedule.lengths[name], slots[channel])]
    }


def first_at_address(oracle: Oracle) -> dict[str, set[str]]:
    """Per contact channel, whom permission leaves: whoever is exported if every list is long enough."""
    statuses = oracle.statuses(dict.fromkeys(oracle.customers, 1), 1)
    passed: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
    for (name, channel), status in statuses.items():
        if status == Status.EXPORTED:
            passed[channel].add(name)
    return passed


@dataclass(frozen=True)
class Decided:
    """A night that the models decided, and what the oracle says about it."""

    night: Night
    statuses: dict[tuple[str, str], str]
    oracle: MessageOracle
    expected: dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def compiled(toy_night: Built) -> Compiled:
    return Compiled(toy_night)


@pytest.fixture(scope="module")
def nights(compiled: Compiled, tmp_path_factory: pytest.TempPathFactory) -> list[Decided]:
    decided = []
    for seed, setting in enumerate(NIGHTS):
        night = open_night(tmp_path_factory.mktemp("schedules"), *setting)
        schedule = imagine(random.Random(seed), night)  # noqa: S311 - made-up people, not secrets
        toy.write_raw(night, order_lines=[], web_events=[], suppressions=[], **schedule.tables)
        write_ledger(night, schedule)
        recommend(night, {name: [f"popular {p}" for p in PRODUCTS[:n]] for name, n in schedule.lengths.items()})
        compiled.decide(night)
        decisions = pl.read_parquet(night.decisions / "fct_decisions.parquet")
        permissions = Oracle(
            schedule.tables["customers"],
            [row | {"valid_until": None} for row in schedule.tables["consents"]],
            [],
            [],
            run_date=night.run_date,
            end=night.end,
            min_age=16,
        )
        oracle = MessageOracle(
            night.shop,
            night.run_date,
            schedule.tables["customers"],
            schedule.tables["contacts"],
            schedule.recipients,
            schedule.same_person,
        )
        expected = oracle.statuses(first_at_address(permissions), schedule.lengths, unchanged(night, schedule))
        statuses = {(name, to): status for name, to, status in decisions["customer_id", "channel", "status"].rows()}
        decided.append(Decided(night, statuses, oracle, expected))
    return decided


def test_the_models_decide_like_the_oracle_about_5000_schedules(nights: list[Decided]) -> None:
    counts: Counter[str] = Counter()
    for one in nights:
        before = {"no_consent", "duplicate_address", "invalid_address"}
        ours = {key: status for key, status in one.statuses.items() if status not in before}
        differing = {
            key: (ours.get(key), one.expected.get(key))
            for key in ours.keys() | one.expected.keys()
            if ours.get(key) != one.expected.get(key)
        }
        assert differing == {}, one.night.shop.caps
        counts.update(ours.values())
    assert len(nights) * PEOPLE >= 5000
    wanted = {"no_send_window", "control", "capped", "too_few_items", "nothing_new", "exported"}
    assert set(counts) == wanted
    assert min(counts.values()) > 100, counts


def test_the_files_say_when_as_the_oracle_does(nights: list[Decided]) -> None:
    seen = 0
    for one in nights:
        for kind in ("email_file", "crm_file"):
            rows = pl.read_parquet(one.night.decisions / f"sync_{kind}__recipients.parquet")
            contact = {channel.name: channel.contact_channel.value for channel in one.night.shop.channels}
            for channel, name, opens, closes in rows[
                "channel", "customer_id", "send_not_before", "send_not_after"
            ].rows():
                assert (opens, closes) == one.oracle.window(name, contact[channel])
                seen += 1
    assert seen > 1000


def recounted(one: Decided, extra: dict[str, set[str]]) -> dict[str, dict[str, str]]:
    """The re-count's findings per channel, with more people in the finished files than were decided to be there."""
    render.run(one.night)
    for channel in one.night.shop.channels:
        path = evidence_of.file_of(one.night, channel.name)
        cells = pl.read_csv(path, infer_schema=False)
        rows = [
            dict.fromkeys(cells.columns, "")
            | {"customer_id": name, "rec_1_id": "green"}
            | dict(zip(messages.WINDOW, (f"{at:{messages.MOMENT}}" for at in window), strict=True))
            for name in sorted(extra.get(channel.name, ()))
            for window in [one.oracle.window(name, channel.contact_channel.value)]
        ]
        cells = pl.concat([cells, pl.DataFrame(rows, schema=cells.schema, orient="row")]).sort("customer_id")
        path.write_text(cells.write_csv(quote_style="always"))
    evidence, checks = evidence_of.gather(one.night)
    assert evidence is not None, checks
    past = messages.gather(one.night, permission.gather(one.night))
    return {
        channel.name: {
            check.check: check.detail.split(" of ")[0]
            for check in messages.check(evidence, past, channel)
            if not check.passed
        }
        for channel in one.night.shop.channels
    }


def test_the_recount_agrees_with_every_night(nights: list[Decided]) -> None:
    for one in nights:
        assert set(map(str, recounted(one, {}).values())) == {"{}"}


def held_back(one: Decided, status: str) -> dict[str, set[str]]:
    return {
        channel.name: {name for (name, to), why in one.expected.items() if why == status and to == channel.name}
        for channel in one.night.shop.channels
    }


@pytest.mark.thorough
@pytest.mark.parametrize(("status", "check"), [("no_send_window", "inside_send_window"), ("control", "no_control")])
def test_the_recount_finds_each_whom_the_oracle_holds_back(nights: list[Decided], status: str, check: str) -> None:
    for one in nights:
        held = held_back(one, status)
        found = recounted(one, held)
        assert {name: found[name].get(check, "0") for name in held} == {
            name: f"{len(who)}" for name, who in held.items()
        }


@pytest.mark.thorough
def test_the_recount_finds_each_who_would_be_over_a_cap(nights: list[Decided]) -> None:
    """All who are capped for a file, put into it. A few are so only because of a message that was held back too."""
    seen, spared = 0, 0
    for one in nights:
        exported = {key for key, status in one.expected.items() if status == "exported"}
        for channel, held in zip(one.night.shop.channels, held_back(one, "capped").values(), strict=True):
            over = {name for name in held if one.oracle.is_over(name, channel, exported)}
            found = recounted(one, {channel.name: held})[channel.name]
            assert found.get("nobody_over_a_cap", "0") == f"{len(over)}", (one.night.shop.caps, channel.name)
            seen, spared = seen + len(over), spared + len(held - over)
    assert seen > 4000
    assert spared < seen / 20
