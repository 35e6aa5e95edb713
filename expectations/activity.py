"""The re-count of what every customer did, from raw orders and visits, without what is sensitive or not in the range.

The analysts read `customer_features`: a figure that counted a sensitive purchase would tell of it, by the difference
from what is counted elsewhere. It shares no SQL with the dbt project.
"""

import polars as pl

from expectations.permission import Permissions
from recsys.night import Night

FIGURES = ("orders", "active_days", "spend")


def miscounted(night: Night, permissions: Permissions) -> tuple[int, int]:
    """Customers whose orders, active days or spend are other than the re-count finds, and customers with features."""
    units = pl.col("spend").cast(pl.Float64) * 1e4
    handed = (
        pl.read_parquet(night.features / "customer_features.parquet", columns=["customer_id", *FIGURES])
        .with_columns(units.round().cast(pl.Int64))
        .with_columns(pl.col("orders", "active_days").cast(pl.Int64))
    )
    expected = counted(night, permissions)
    missing = expected.join(handed, on=expected.columns, how="anti")
    beyond = handed.join(expected, on=expected.columns, how="anti")
    return max(missing.height, beyond.height), handed.height


def counted(night: Night, permissions: Permissions) -> pl.DataFrame:
    """customer_id, orders, active_days and spend (in ten-thousandths) of everybody who may be personalised.

    Lines and visits of products that are sensitive or not in the range do not count; a visit that is about no product
    does. An order counts when something was ordered in it, on the day of its first such line.
    """
    products = pl.read_parquet(night.raw / "products.parquet", columns=["product_id", "sensitive"])
    plain = products.filter(~pl.col("sensitive").fill_null(value=False)).get_column("product_id").implode()
    customers = permissions.personalised.select("customer_id")
    leads_to = permissions.ids.rename({"customer_id": "leads_to"}).lazy()

    def theirs(table: str, moment: str) -> pl.LazyFrame:
        return (
            pl.scan_parquet(night.raw / f"{table}.parquet")
            .filter(pl.col(moment) < night.end, pl.col("product_id").is_in(plain) | pl.col("product_id").is_null())
            .with_columns(id=pl.coalesce("customer_id", "visitor_id"))
            .join(leads_to, on="id")
            .with_columns(customer_id="leads_to")
            .join(customers.lazy(), on="customer_id", how="semi")
        )

    price = (pl.col("unit_price").cast(pl.Float64) * 1e4).round().cast(pl.Int64).fill_null(0)
    orders = (
        theirs("order_lines", "ordered_at")
        .group_by("customer_id", "order_id")
        .agg(
            day=pl.col("ordered_at").filter(pl.col("quantity") > 0).min().dt.date(),
            spend=(pl.col("quantity").cast(pl.Int64) * price).sum(),
        )
        .collect()
    )
    visits = theirs("web_events", "occurred_at").select("customer_id", day=pl.col("occurred_at").dt.date()).unique()
    days = pl.concat([orders.select("customer_id", "day").drop_nulls(), visits.collect()]).unique()
    totals = orders.group_by("customer_id").agg(
        orders=pl.col("day").count().cast(pl.Int64), spend=pl.col("spend").sum()
    )
    active = days.group_by("customer_id").agg(active_days=pl.len().cast(pl.Int64))
    return (
        customers.join(totals, on="customer_id", how="left")
        .join(active, on="customer_id", how="left")
        .with_columns(pl.col(FIGURES).fill_null(0))
        .select("customer_id", *FIGURES)
    )
