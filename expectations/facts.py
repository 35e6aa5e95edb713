"""What is true about customers, products and purchases, straight from raw/: it shares no SQL with the dbt project."""

from dataclasses import dataclass, replace

import polars as pl

from expectations.permission import Permissions
from recsys.night import Night


@dataclass(frozen=True)
class Facts:
    """Facts as of the night's end.

    `customers`: customer_id of every known customer. `products`: every product with is_eligible and its public
    fields. `bought`: customer_id and product_id, each pair once, of what a customer has and will not need again;
    nothing of customers whose behaviour may not be used: their lists must not depend on it.
    """

    customers: pl.DataFrame
    products: pl.DataFrame
    bought: pl.DataFrame

    def in_files(self) -> "Facts":
        """The same facts as finished files show them: control characters in links are a blank there."""
        links = pl.col("url", "image_url").str.replace_all(r"[\p{Cc}\x{2028}\x{2029}]+", " ")
        return replace(self, products=self.products.with_columns(links))


def gather(night: Night, permissions: Permissions) -> Facts:
    """Read the facts of a night from its raw tables."""
    customers = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id"]).unique()
    products = pl.read_parquet(night.raw / "products.parquet").select(
        "product_id",
        "url",
        "image_url",
        "price",
        pl.col("currency").fill_null(night.shop.currency),
        is_eligible=pl.col("is_active").fill_null(value=False)
        & pl.col("in_stock").fill_null(value=False)
        & ~pl.col("sensitive").fill_null(value=False),
        is_replenishable=pl.col("replenishable").fill_null(value=False),
    )
    return Facts(customers, products, _bought(night, customers, products, permissions))


def _bought(night: Night, customers: pl.DataFrame, products: pl.DataFrame, permissions: Permissions) -> pl.DataFrame:
    """Customer and product with a net quantity above zero, for products that are not replenishable.

    Counts lines that carry a known customer's id, and lines of other ids whose direct links all lead to one known
    customer. Purchases that reach a customer over several links, or over the newest of contradicting ones, are the
    dbt project's to find; so are returns that do.
    """
    lines = (
        pl.scan_parquet(night.raw / "order_lines.parquet")
        .filter(pl.col("ordered_at") < night.end)
        .select(pl.coalesce("customer_id", "visitor_id").alias("id"), "product_id", "quantity")
        .collect()
    )
    known = customers.select(id="customer_id", customer_id="customer_id")
    return (
        lines.join(pl.concat([known, _direct_links(night, customers)]), on="id")
        .join(permissions.personalised, on="customer_id", how="semi")
        .join(products.filter("is_replenishable").select("product_id"), on="product_id", how="anti")
        .group_by("customer_id", "product_id")
        .agg(pl.col("quantity").sum())
        .filter(pl.col("quantity") > 0)
        .select("customer_id", "product_id")
    )


def _direct_links(night: Night, customers: pl.DataFrame) -> pl.DataFrame:
    """id and the one known customer that everything seen links it with; known and ambiguous ids are left out."""
    known = customers["customer_id"].implode()
    return (
        links_seen(night)
        .filter(~pl.col("id").is_in(known), pl.col("customer_id").is_in(known))
        .filter(pl.len().over("id") == 1)
    )


def links_seen(night: Night) -> pl.DataFrame:
    """id and customer_id: every two ids that were seen together up to the night's end, both ways round, each once."""
    tables = (("identities", "seen_at"), ("web_events", "occurred_at"), ("order_lines", "ordered_at"))
    seen = pl.concat(
        pl.scan_parquet(night.raw / f"{table}.parquet")
        .filter(pl.col(moment) < night.end)
        .select("visitor_id", "customer_id")
        .drop_nulls()
        .unique()
        for table, moment in tables
    ).collect()
    return pl.concat(
        [
            seen.select(id="visitor_id", customer_id="customer_id"),
            seen.select(id="customer_id", customer_id="visitor_id"),
        ]
    ).unique()
