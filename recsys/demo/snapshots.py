"""Customers and products as the demo shop delivers them: all at first, then on each day what is new or has changed."""

import numpy as np
import polars as pl

from recsys.demo.catalogue import Catalogue
from recsys.demo.horizon import DAYS, FIRST_DAY, days_of
from recsys.demo.ids import customer_ids, utc
from recsys.demo.people import People


def customer_rows(people: People) -> pl.DataFrame:
    """customer, day, moment: a row for a sign-up and one for a change of address; only the last in each day folder."""
    everybody = np.arange(people.size)
    changed = np.flatnonzero(people.changed_at > 0)
    rows = pl.DataFrame(
        {
            "customer": np.concatenate([everybody, changed]),
            "moment": np.concatenate([people.created_at, people.changed_at[changed]]),
        }
    )
    rows = rows.with_columns(pl.Series("day", np.maximum(days_of(rows["moment"].to_numpy()), FIRST_DAY)))
    return rows.sort("moment").unique(["customer", "day"], keep="last", maintain_order=True).sort("day", "customer")


def render_customers(people: People, rows: pl.DataFrame) -> pl.DataFrame:
    who, at = rows["customer"].to_numpy(), rows["moment"].to_numpy()
    return (
        pl.concat([rows, people.cards[who]], how="horizontal")
        .with_columns(
            people.emails_at(who, at).alias("mail"),
            people.phones_at(who, at).alias("phone"),
            pl.Series("created_at", people.created_at[who]),
        )
        .select(
            customer_ids().alias("id"),
            "mail",
            "phone",
            "first_name",
            "last_name",
            "country",
            "language",
            "timezone",
            pl.col("birth_year").cast(pl.String).alias("born"),
            utc("created_at").alias("created"),
            utc("moment").alias("changed"),
        )
    )


def product_rows(catalogue: Catalogue) -> pl.DataFrame:
    """product, day, cents, is_active, is_out: all that is launched by the first day, later what is new or changed."""
    everything = np.arange(catalogue.size)
    before = None
    parts = []
    for day in range(FIRST_DAY, DAYS):
        week = day // 7
        is_known = catalogue.launch_week <= week
        state = np.stack(
            [
                catalogue.price_on(everything, np.full(catalogue.size, day)),
                catalogue.is_active(week),
                catalogue.is_out[week],
                is_known,
            ]
        )
        is_new = is_known if before is None else is_known & (state != before).any(axis=0)
        before = state
        chosen = np.flatnonzero(is_new)
        parts.append(
            pl.DataFrame(
                {
                    "product": chosen,
                    "day": np.full(len(chosen), day),
                    "cents": state[0][chosen],
                    "is_active": state[1][chosen].astype(bool),
                    "is_out": state[2][chosen].astype(bool),
                }
            )
        )
    return pl.concat(parts)


def render_products(catalogue: Catalogue, rows: pl.DataFrame) -> pl.DataFrame:
    which = rows["product"].to_numpy()
    return (
        pl.concat([rows, catalogue.names[which]], how="horizontal")
        .with_columns(pl.Series("launched", catalogue.launched_at[which]), pl.Series("pieces", catalogue.stock[which]))
        .select(
            pl.col("product_id").alias("sku"),
            "title",
            "department",
            "category",
            "subcategory",
            "brand",
            pl.col("cents").alias("price_cents"),
            pl.col("is_active").alias("active"),
            pl.when("is_out").then(0).otherwise("pieces").alias("stock"),
            pl.from_epoch("launched", time_unit="s").cast(pl.Datetime("us")).alias("launched"),
            "replenishable",
            "sensitive",
            "tags",
        )
    )
