"""How the demo shop writes its tables into files: which rows of which day, under the shop's own column names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recsys.contracts import CONTRACTS
from recsys.demo.browsing import Browsing
from recsys.demo.catalogue import Catalogue
from recsys.demo.horizon import DAYS, FIRST_DAY, ZONE
from recsys.demo.ids import customer_ids, event_ids, message_ids, old_ids, order_ids, product_ids, utc, visitor_ids
from recsys.demo.messages import Messages
from recsys.demo.people import People
from recsys.demo.permissions import Permissions
from recsys.demo.purchases import CANCELLED, NOBODY, Purchases
from recsys.demo.snapshots import customer_rows, product_rows, render_customers, render_products


@dataclass(frozen=True)
class Sheet:
    """One table's rows, ordered by `day`, and how a slice of them looks in the file."""

    table: str
    file: str
    rows: pl.DataFrame
    render: Callable[[pl.DataFrame], pl.DataFrame]
    format: Literal["csv", "csv.gz", "parquet", "jsonl"] = "csv"
    delimiter: str = ","

    def days(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Day folders that have this file, with its rows: the first takes all that went before.

        Permission tables have one every day, with a header alone when nothing happened: their silence would look like
        a lost file.
        """
        delivered = np.maximum(self.rows["day"].to_numpy(), FIRST_DAY)
        edges = np.searchsorted(delivered, np.arange(FIRST_DAY, DAYS + 1))
        for day, first, last in zip(range(FIRST_DAY, DAYS), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if last > first or not CONTRACTS[self.table].tolerates_bad_rows:
                yield day, self.rows[first:last]


def make_sheets(
    people: People,
    catalogue: Catalogue,
    purchases: Purchases,
    browsing: Browsing,
    permissions: Permissions,
    messages: Messages,
) -> list[Sheet]:
    """All eleven tables."""
    ids = catalogue.names["product_id"]
    return [
        Sheet("customers", "customers.csv", customer_rows(people), lambda rows: render_customers(people, rows)),
        Sheet(
            "products",
            "products.parquet",
            product_rows(catalogue),
            lambda rows: render_products(catalogue, rows),
            "parquet",
        ),
        Sheet("order_lines", "order_lines.csv", purchases.lines, lambda rows: _order_lines(ids, rows)),
        Sheet("web_events", "web_events.csv.gz", browsing.events, lambda rows: _web_events(ids, rows), "csv.gz"),
        Sheet("identities", "identities.csv", browsing.links, _identities),
        Sheet("consents", "consents.csv", permissions.consents, _consents),
        Sheet("suppressions", "suppressions.csv", messages.suppressions, lambda rows: _suppressions(people, rows)),
        Sheet("preferences", "preferences.jsonl", permissions.preferences, _preferences, "jsonl"),
        Sheet("contacts", "contacts.csv", messages.contacts, _contacts, delimiter=";"),
        Sheet("engagements", "engagements.csv", messages.engagements, lambda rows: _engagements(ids, rows)),
        Sheet("editorial", "editorial.csv", messages.bookings, lambda rows: _editorial(ids, rows)),
    ]


def _order_lines(ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(product_ids(ids, rows["product"])).select(
        order_ids().alias("order_no"),
        pl.when("is_old_id").then(old_ids()).otherwise(customer_ids()).alias("customer"),
        visitor_ids().alias("visitor"),
        "sku",
        pl.col("quantity").cast(pl.String).alias("pieces"),
        _euros().alias("price"),
        utc("moment").alias("ordered"),
        pl.when(pl.col("status") == CANCELLED).then(pl.lit("cancelled")).otherwise(pl.lit("paid")).alias("status"),
    )


def _euros() -> pl.Expr:
    cents = pl.col("cents")
    return pl.format("{}.{}", cents // 100, (cents % 100).cast(pl.String).str.zfill(2))


def _web_events(ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(product_ids(ids, rows["product"])).select(
        event_ids().alias("event_id"),
        visitor_ids().alias("visitor"),
        customer_ids().alias("customer"),
        "sku",
        pl.col("event_type").cast(pl.String).alias("event"),
        utc("moment").alias("time"),
    )


def _identities(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.when(pl.col("visitor") == NOBODY).then(old_ids()).otherwise(visitor_ids()).alias("visitor"),
        pl.when("is_old_id").then(old_ids()).otherwise(customer_ids()).alias("customer"),
        utc("moment").alias("seen"),
    )


def _consents(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        customer_ids().alias("customer"),
        pl.col("channel").cast(pl.String),
        pl.col("purpose").cast(pl.String),
        pl.col("status").cast(pl.String),
        utc("moment").alias("said"),
        utc("ends_at").alias("ends"),
        pl.col("source").cast(pl.String),
    )


def _suppressions(people: People, rows: pl.DataFrame) -> pl.DataFrame:
    """Addresses as people and service staff type them: some in capitals, some with blanks around or within."""
    who, at = rows["customer"].to_numpy(), rows["moment"].to_numpy()
    style = pl.col("customer") % 4
    mail, phone = pl.col("mail"), pl.col("phone")
    spaced = pl.format("{} {} {} ", phone.str.slice(0, 4), phone.str.slice(4, 5), phone.str.slice(9))
    told = rows.with_columns(people.emails_at(who, at).alias("mail"), people.phones_at(who, at).alias("phone"))
    is_number = phone.str.starts_with("+")  # who has none that can be called says who they are
    by = pl.when((pl.col("told_by") == "phone") & ~is_number).then(pl.lit("customer_id")).otherwise("told_by")
    return told.with_columns(told_by=by.cast(pl.String)).select(
        pl.when(pl.col("told_by") == "customer_id").then(customer_ids()).alias("customer"),
        pl.when(pl.col("told_by") != "email")
        .then(None)
        .when(style == 0)
        .then(mail.str.to_uppercase())
        .when(style == 1)
        .then(pl.format(" {}  ", mail))
        .otherwise(mail)
        .alias("mail"),
        pl.when(pl.col("told_by") != "phone").then(None).when(style == 0).then(spaced).otherwise(phone).alias("phone"),
        "channel",
        "reason",
        utc("moment").alias("since"),
    )


def _preferences(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(customer_ids().alias("customer"), "topic", "choice", "value", utc("moment").alias("chosen"))


def _contacts(rows: pl.DataFrame) -> pl.DataFrame:
    local = pl.from_epoch("moment", time_unit="s").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE.key)
    return rows.select(
        message_ids().alias("message"),
        customer_ids().alias("customer"),
        pl.col("channel").cast(pl.String).str.to_uppercase(),
        pl.col("campaign").cast(pl.String),
        local.dt.strftime("%d.%m.%Y %H:%M:%S").alias("sent"),
    )


def _engagements(ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(product_ids(ids, rows["product"])).select(
        message_ids().alias("message"),
        pl.col("event_type").cast(pl.String).alias("event"),
        "sku",
        utc("moment").alias("time"),
    )


def _editorial(ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(product_ids(ids, rows["product"])).select(
        "sku",
        "content",
        pl.col("starts_on").dt.strftime("%d.%m.%Y").alias("from"),
        pl.col("ends_on").dt.strftime("%d.%m.%Y").alias("to"),
        pl.col("percent").cast(pl.String),
    )
