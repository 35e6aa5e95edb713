"""A shop with needs: a crowd of 24 makes each of them clear, and a few people are where it becomes interesting.

The night is 2026-03-31. A category is known by 10 watched buyers, a product's rhythm by 10 repeats, the rest is as by
default, but that needs are watched for 60 days and what follows is not asked for.

| customer | bought | need |
|---|---|---|
| crowd-* | a basin and tiles in December, 14 days apart, and never again; coffee every 10 days, a jumper twice | |
| done | a basin and a tile, the last on 2026-02-01 | bathroom finished on 2026-02-15 |
| busy | a basin on 2026-03-25 | bathroom open |
| again | a tile on 2026-02-01, and said on 2026-03-01 that they are interested in renovation | bathroom open |
| fresh | coffee, once, on 2026-03-30; one night's 4 items came over 5 channels | coffee not_due |
| empty | coffee, once, on 2026-03-21 | coffee due |
| own | coffee every 30 days, the last on 2026-03-16 | coffee not_due, where others' would be |
| shy | like done and fresh, and does not allow personalisation | none |
| narrow | jumpers; 19 of the 20 items of the last nights were fashion, sent over 4 channels | fashion limited to 3 |
"""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from recsys import ledger
from recsys.needs_settings import Needs
from recsys.night import Night
from recsys.tables import write_parquet
from tests import toy

CROWD = [f"crowd-{number:02}" for number in range(24)]
PEOPLE = ("again", "busy", "done", "empty", "fresh", "narrow", "own", "shy")
NEEDS = Needs(min_buyers=10, min_gaps=10, observe_days=60)
JUMPERS = [f"jumper-{number}" for number in range(8)]


def _product(product_id: str, category: str, **fields: object) -> dict[str, object]:
    return {
        "product_id": product_id,
        "name": product_id.title(),
        "category": category,
        "is_active": True,
        "in_stock": True,
        "replenishable": False,
        "sensitive": False,
    } | fields


PRODUCTS = [
    _product("basin", "Renovation > Bathroom > Basins"),
    _product("tile", "Renovation > Bathroom > Tiles"),
    _product("shower", "Renovation > Bathroom > Showers"),
    _product("coffee", "Pantry > Coffee", replenishable=True),
    _product("espresso", "Pantry > Coffee", replenishable=True),
    *(_product(jumper, "Fashion > Jumpers") for jumper in JUMPERS),
    _product("novel", "Leisure > Books"),
    _product("atlas", "Leisure > Books"),
]


def _lines() -> list[dict[str, object]]:
    bought: list[tuple[str, str, date]] = []
    for number, customer in enumerate(CROWD):
        bought += [(customer, "basin", date(2025, 12, 1)), (customer, "tile", date(2025, 12, 15))]
        bought += [(customer, "coffee", date(2025, 12, 1) + timedelta(days=10 * time)) for time in range(5)]
        bought += [
            (customer, JUMPERS[number % 8], date(2025, 12, 1)),
            (customer, JUMPERS[(number + 1) % 8], date(2026, 1, 25)),
        ]
    bought += [("again", "tile", date(2026, 2, 1))]
    for customer in ("done", "shy"):
        bought += [(customer, "basin", date(2026, 1, 20)), (customer, "tile", date(2026, 2, 1))]
    bought += [("busy", "basin", date(2026, 3, 25))]
    bought += [("shy", "coffee", date(2026, 3, 30)), ("fresh", "coffee", date(2026, 3, 30))]
    bought += [("empty", "coffee", date(2026, 3, 21))]
    bought += [("own", "coffee", date(2026, 1, 15) + timedelta(days=30 * time)) for time in range(3)]
    bought += [("narrow", JUMPERS[0], date(2026, 2, 1)), ("narrow", JUMPERS[1], date(2026, 3, 28))]
    return [
        {
            "order_id": f"{customer}-{day}-{product}",
            "customer_id": customer,
            "product_id": product,
            "quantity": 1,
            "unit_price": "9.90",
            "ordered_at": datetime.combine(day, datetime.min.time()) + timedelta(hours=10),
        }
        for customer, product, day in bought
    ]


def _customer(customer_id: str) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "created_at": datetime(2025, 1, 1),
        "updated_at": datetime(2025, 1, 1),
    }


def _consent(customer_id: str, purpose: str) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "channel": "email",
        "purpose": purpose,
        "status": "granted",
        "occurred_at": datetime(2025, 1, 1),
    }


def write_night(folder: Path) -> Night:
    """The shop's raw tables and the ledger of narrow's last nights, below `folder`."""
    shop = toy.write_shop(folder).model_copy(update={"needs": NEEDS})
    night = Night(shop, toy.RUN_DATE)
    everybody = [*CROWD, *PEOPLE]
    toy.write_raw(
        night,
        customers=[_customer(name) for name in everybody],
        products=PRODUCTS,
        order_lines=_lines(),
        consents=[
            *(_consent(name, "marketing") for name in everybody),
            *(_consent(name, "personalisation") for name in everybody if name != "shy"),
        ],
        preferences=[
            {
                "customer_id": "again",
                "topic": " RENOVATION ",
                "choice": "interested",
                "occurred_at": datetime(2026, 3, 1),
            }
        ],
    )
    sent = [
        (date(2026, 3, 30) - timedelta(days=back), rank, "novel" if (back, rank) == (0, 4) else JUMPERS[rank])
        for back in range(5)
        for rank in range(1, 5)
    ]
    mailed = pl.DataFrame(sent, schema=["run_date", "rank", "product_id"], orient="row").with_columns(
        channel=pl.lit("email_file"), customer_id=pl.lit("narrow")
    )
    shorter = [
        mailed.filter(pl.col("rank") <= slots).with_columns(channel=pl.lit(f"slots_{slots}")) for slots in (1, 2, 4)
    ]
    few = mailed.filter(pl.col("run_date") == date(2026, 3, 30)).with_columns(customer_id=pl.lit("fresh"))
    few = pl.concat([few, *(few.with_columns(channel=pl.lit(f"slots_4_{number}")) for number in range(4))])
    items = pl.concat([mailed, *shorter, few])
    items = items.select(ledger.ITEMS.schema.names()).cast(dict(ledger.ITEMS.schema))
    write_parquet(items, night.raw / "ledger" / "items" / "email_file.2026-03-30.parquet")
    return night
