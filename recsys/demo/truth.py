"""The truth behind the demo shop, for evaluation only: it lies beside the inbox and no shop file may read it.

How likely the next thing that a customer buys out of taste in a given week is a product:

    category_taste[category] * season[week, category] / (sum of that over all categories)
    * style_taste[style] * probability[week, product]

with the product's own category and style, and `probability` being its share of that week's picks out of its category
and style (0 while it is not on sale). What a customer has bought already and does not use up has no chance. Purchases
that follow from `rhythms` and `projects` come on top.

Tables: `categories` (category in the order of category_taste), `styles` (in the order of style_taste), `customers`,
`products`, `seasons`, `product_weeks`, `rhythms`, `projects`, `visitors`, `dirty_rows`. All cover the whole horizon,
whatever part of it was delivered, so customers who sign up later are in them too.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from recsys.demo.assortment import CATEGORIES, RHYTHM_DAYS, STYLES
from recsys.demo.browsing import Browsing
from recsys.demo.catalogue import Catalogue
from recsys.demo.dirt import faulty_rows
from recsys.demo.horizon import MONDAYS, START, WEEKS
from recsys.demo.ids import customer_ids, old_ids, visitor_ids
from recsys.demo.people import People
from recsys.demo.purchases import Purchases
from recsys.demo.sheets import Sheet


def true_tables(
    people: People, catalogue: Catalogue, purchases: Purchases, browsing: Browsing, sheets: list[Sheet]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each truth table with its name, in a fixed order of rows."""
    names = [category.name for category in CATEGORIES]
    ids = catalogue.names["product_id"]
    yield (
        "categories",
        pl.DataFrame(
            {
                "category": names,
                "rhythm_days": pl.Series(RHYTHM_DAYS),
                "is_project": [category.project for category in CATEGORIES],
            }
        ),
    )
    yield "styles", pl.DataFrame({"style": list(STYLES)})
    yield "customers", _customers(people)
    yield (
        "products",
        catalogue.names.select("product_id", "category", "style", "replenishable", "is_project").sort("product_id"),
    )
    yield (
        "seasons",
        pl.DataFrame(
            {
                "week": pl.Series(MONDAYS)[np.repeat(np.arange(WEEKS), len(names))],
                "category": names * WEEKS,
                "factor": catalogue.seasons.ravel(),
            }
        ),
    )
    week, product = np.nonzero(catalogue.probability)
    yield (
        "product_weeks",
        pl.DataFrame(
            {
                "week": pl.Series(MONDAYS)[week],
                "product_id": ids[product],
                "probability": catalogue.probability[week, product],
            }
        ).sort("week", "product_id"),
    )
    yield (
        "rhythms",
        purchases.rhythms.select(
            customer_ids().alias("customer_id"),
            pl.Series("product_id", ids[purchases.rhythms["product"].cast(pl.Int64)]),
            "every_days",
            *_dates("first_day", "last_day"),
        ).sort("customer_id", "product_id"),
    )
    yield (
        "projects",
        purchases.projects.select(
            customer_ids().alias("customer_id"),
            pl.Series("category", pl.Series(names)[purchases.projects["category"]]),
            *_dates("first_day", "last_day"),
        ).sort("customer_id"),
    )
    yield "visitors", _visitors(people, browsing)
    yield (
        "dirty_rows",
        pl.concat(faulty_rows(sheet.table, day, len(rows)) for sheet in sheets for day, rows in sheet.days()).sort(
            "day", "table_name", "column_name"
        ),
    )


def _dates(*days: str) -> list[pl.Expr]:
    return [(pl.lit(START) + pl.duration(days=day)).cast(pl.Date).alias(day.replace("_day", "_date")) for day in days]


def _customers(people: People) -> pl.DataFrame:
    return (
        pl.DataFrame(
            {
                "customer": np.arange(people.size),
                "segment": people.segment,
                "category_taste": people.category_taste,
                "style_taste": people.style_taste,
                "orders_expected": people.orders_expected,
                "has_no_history": people.has_no_history,
                "created_at": people.created_at,
            }
        )
        .with_columns(customer_ids().alias("customer"), pl.from_epoch("created_at").cast(pl.Datetime("us")))
        .rename({"customer": "customer_id"})
    )


def _visitors(people: People, browsing: Browsing) -> pl.DataFrame:
    """visitor_id, customer_id (null: a stranger), linked_date: whose files first tell (null: none do).

    Old customer ids are in it as visitors; they too are ids that turn out to be a customer.
    """
    old = browsing.links.filter(pl.col("visitor") == -1)
    visitors = browsing.visitors.select(
        visitor_ids().alias("visitor_id"),
        customer_ids().alias("customer_id"),
        "linked_day",
    )
    moved = pl.DataFrame({"customer": np.flatnonzero(people.moved_at > 0)}).join(
        old.select("customer", pl.col("day").alias("linked_day")), on="customer", how="left", maintain_order="left"
    )
    moved = moved.select(old_ids().alias("visitor_id"), customer_ids().alias("customer_id"), "linked_day")
    return (
        pl.concat([visitors, moved])
        .with_columns(*_dates("linked_day"))
        .select("visitor_id", "customer_id", "linked_date")
        .sort("visitor_id")
    )
