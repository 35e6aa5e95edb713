"""People made up, with everything that can be hard about their permissions; the same seed makes the same people."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import toy
from permission_oracle import CHANNELS, Oracle

from recsys.config import Shop, load_shop
from recsys.night import Night

MIN_ITEMS = 2
END = datetime(2026, 4, 1)
MOMENTS = [END - timedelta(days=days) for days in (400, 90, 30, 30, 7, 1)] + [
    END - timedelta(microseconds=1),
    END,
    END + timedelta(days=1),
]
ENDS = [None, None, None, END - timedelta(days=20), END - timedelta(microseconds=1), END]
ENDS += [END + timedelta(microseconds=1), END + timedelta(days=300)]
PAUSES = ["2026-03-30", "2026-03-31", "2026-04-01", " 2026-05-01 ", "2026-04-31", "2026-4-30", "30.04.2026", "", None]
YEARS = [None, None, 1950, 1990, 2009, 2009, 2010, 2011, 2024]
KINDS = {"email": "email_file"}
SHOP = """
channels:
""" + "".join(
    f"  - {{name: to_{channel}, kind: {KINDS.get(channel, 'crm_file')}, contact_channel: {channel}, "
    f"slots: 3, min_items: {MIN_ITEMS}}}\n"
    for channel in CHANNELS
)
PRODUCTS = ["green", "black", "mint", "oolong", "hammer", "saw", "drill", "test"]

Rows = list[dict[str, Any]]


def odd_email(draw: random.Random, number: int) -> str | None:
    """One of a few people's addresses, written in some way; now and then none, or one that is none.

    Every second person is at Gmail, where more ways of writing lead to the same mailbox.
    """
    plain = f"person{number}@example.com"
    other, upper = plain, plain.upper()
    if number % 2:
        plain, other, upper = (
            f"{local}@{domain}.com"
            for local, domain in (
                (f"person{number}", "gmail"),
                (f"per.son{number}", "gmail"),
                (f"P.E.R.SON{number}+Shop.News", "GoogleMail"),
            )
        )
    ways: list[Callable[[], str | None]] = [
        lambda: plain,
        lambda: other,
        lambda: upper,
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
        lambda: f"00{digits[1:]}",
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
        return Oracle(**self.tables, run_date=night.run_date, end=night.end, min_age=night.shop.permission.min_age)


def imagine(size: int, seed: int, first: int = 0) -> World:
    """People who share two thirds as many addresses as they are, with a history each. The same seed, the same world.

    `first` is the number of the first of them: worlds that do not overlap in numbers share no id and no address.
    """
    draw = random.Random(seed)  # noqa: S311 - made-up people, not secrets
    names = [f"c{number:07d}" for number in range(first, first + size)]
    links = _links(draw, names, first)
    strangers = [*sorted({row["visitor_id"] for row in links["identities"]}), f"nobody{first}"]
    tables = {
        "customers": _customers(draw, names, first),
        "consents": _consents(draw, names, strangers),
        "suppressions": _suppressions(draw, names, strangers, first),
        "preferences": _preferences(draw, names),
        **links,
        **_messages(draw, names, strangers, first),
    }
    for rows in tables.values():
        draw.shuffle(rows)
    return World(tables, {name: draw.choice([0, 1, 2, 2, 3]) for name in names})


def write_shop(folder: Path) -> Shop:
    """A shop with one channel per contact channel."""
    path = toy.write_shop(folder).path
    text = path.read_text()
    path.write_text(text[: text.index("channels:")] + SHOP.lstrip())
    return load_shop(path)


def write_night(folder: Path, world: World) -> Night:
    """The raw tables of a night with these people."""
    night = Night(write_shop(folder), toy.RUN_DATE)
    toy.write_raw(night, **world.tables)
    return night


def _pool(size: int) -> int:
    return max(1, size * 2 // 3)


def _customers(draw: random.Random, names: list[str], first: int) -> Rows:
    pool = _pool(len(names))
    updated = [None, *(datetime(2026, 1, day) for day in range(1, 6))]
    return [
        {
            "customer_id": name,
            "email": odd_email(draw, first + draw.randrange(pool)),
            "phone": odd_phone(draw, first + draw.randrange(pool)),
            "birth_year": draw.choice(YEARS) if draw.random() < 0.3 else None,
            "updated_at": draw.choice(updated),
        }
        for name in names
    ]


def _links(draw: random.Random, names: list[str], first: int) -> dict[str, Rows]:
    """Ids that lead to customers in every way there is, and orders and visits of everybody."""
    identities: Rows = []
    events: Rows = []
    lines: Rows = []
    for number, name in enumerate(names, start=first):
        if draw.random() < 0.35:
            visitor = f"v{number:07d}"
            others = [name, draw.choice(names), f"v{draw.randrange(first, number + 1):07d}", f"old{number:07d}"]
            for other in draw.sample(others, draw.choice([1, 1, 1, 2, 3])):
                link = {"visitor_id": visitor, "customer_id": other}
                for _ in range(draw.choice([1, 1, 1, 2])):
                    seen_in = draw.choice(["identities", "identities", "identities", "web_events", "order_lines"])
                    if seen_in == "identities":
                        identities.append({**link, "seen_at": draw.choice(MOMENTS)})
                    elif seen_in == "web_events":
                        events.append({**link, "event_type": "search", "occurred_at": draw.choice(MOMENTS)})
                    else:
                        lines.append({**link, **_line(draw)})
            if draw.random() < 0.3:
                far = {"visitor_id": f"old{number:07d}", "customer_id": draw.choice(names)}
                identities.append({**far, "seen_at": draw.choice(MOMENTS)})
            lines.append({"visitor_id": visitor, **_line(draw)})
        if draw.random() < 0.5:
            lines.append({"customer_id": name, **_line(draw)})
        if draw.random() < 0.2:
            at, product = draw.choice(MOMENTS), draw.choice(PRODUCTS)
            events.append({"customer_id": name, "event_type": "view", "product_id": product, "occurred_at": at})
    for number, event in enumerate(events):
        event["event_id"] = f"e{first}-{number}"
    for number, line in enumerate(lines):
        line["order_id"] = f"o{first}-{number}"
    return {"identities": identities, "web_events": events, "order_lines": lines}


def _line(draw: random.Random) -> dict[str, Any]:
    return {
        "product_id": draw.choice(PRODUCTS),
        "quantity": draw.choice([1, 1, 1, 2, -1]),
        "unit_price": "9.90",
        "ordered_at": draw.choice(MOMENTS),
    }


def _consents(draw: random.Random, names: list[str], strangers: list[str]) -> Rows:
    consents = []
    status = {"granted": ["granted"], "mixed": ["granted", "granted", "denied", "withdrawn"], "refuses": ["denied"]}
    for name in names:
        mood = draw.choices(["granted", "mixed", "refuses"], [6, 3, 1])[0]
        for _ in range(draw.choice([0, 1, 3, 6, 9])):
            statement = _statement(draw, name, draw.choice(status[mood]))
            consents += [statement] * draw.choice([1, 1, 1, 2])
    for _ in range(len(names) // 10):
        consents.append(_statement(draw, draw.choice(strangers), draw.choice(["granted", "denied", "withdrawn"])))
    return consents


def _statement(draw: random.Random, who: str, status: str) -> dict[str, Any]:
    return {
        "customer_id": who,
        "channel": draw.choice(["email", "email", *CHANNELS]),
        "purpose": draw.choice(["marketing", "marketing", "personalisation"]),
        "status": status,
        "occurred_at": draw.choice(MOMENTS),
        "valid_until": draw.choice(ENDS) if draw.random() < 0.4 else None,
    }


def _suppressions(draw: random.Random, names: list[str], strangers: list[str], first: int) -> Rows:
    suppressions = []
    for _ in range(len(names) // 12):
        key = draw.choice(["customer_id", "email", "phone"])
        number = first + draw.randrange(_pool(len(names)))
        value = {
            "customer_id": lambda: draw.choice([*draw.choices(names, k=7), *draw.choices(strangers, k=3)]),
            "email": lambda number=number: odd_email(draw, number) or f"person{first}@example.com",
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
    return suppressions


def _preferences(draw: random.Random, names: list[str]) -> Rows:
    return [
        {
            "customer_id": draw.choice(names),
            "topic": draw.choice(["all", "tea"]),
            "choice": draw.choice(["pause_until", "pause_until", "interested"]),
            "value": draw.choice(PAUSES),
            "occurred_at": draw.choice(MOMENTS),
        }
        for _ in range(len(names) // 3)
    ]


def _messages(draw: random.Random, names: list[str], strangers: list[str], first: int) -> dict[str, Rows]:
    """Messages to customers and to ids that may lead to one, and what came back; a few reactions to unknown ones."""
    contacts = [
        {
            "message_id": f"m{first + number}",
            "customer_id": draw.choice(names if draw.random() < 0.8 else strangers),
            "channel": draw.choice(["email", "email", *CHANNELS]),
            "campaign": "spring",
            "sent_at": draw.choice(MOMENTS),
        }
        for number in range(len(names) // 4)
    ]
    engagements = [
        {
            "message_id": draw.choice(contacts)["message_id"] if draw.random() < 0.97 else f"lost{first}",
            "event_type": draw.choice(["open", "open", "click", "unsubscribe", "complaint", "bounce"]),
            "occurred_at": draw.choice(MOMENTS),
        }
        for _ in range(len(names) // 8)
    ]
    return {"contacts": contacts, "engagements": engagements}
