"""Facts about customers at the end of a history, as dbt's customer_features define them."""

import polars as pl

from recsys.twostage.history import CUSTOMERS, History
from recsys.vocabulary import Interaction

RECENT_DAYS = 90
YEAR_DAYS = 365


def facts(history: History, customers: pl.Series) -> pl.DataFrame:
    """One row per customer, in the given order, as CUSTOMERS; nulls where nothing is known.

    What the history was given is taken; it is counted from events only when no facts were given at all, so that an
    older moment, of which no facts are kept, has them too. Then top_category is null.
    """
    known = history.customers if history.customers.height else _counted(history)
    return customers.to_frame("customer_id").join(known, on="customer_id", how="left", maintain_order="left")


def _counted(history: History) -> pl.DataFrame:
    age = (pl.lit(history.end) - pl.col("occurred_at")).dt.total_seconds() / 86400
    # Whole ten-thousandths: their sums do not depend on the order in which threads add them.
    amount = (pl.col("quantity") * pl.col("unit_price") * 1e4).round().cast(pl.Int64)
    lines = history.events.filter(pl.col("kind") == Interaction.ORDER.value).with_columns(age=age, amount=amount)
    lines = lines.with_columns(order_id=pl.col("order_id").fill_null(pl.col("occurred_at").cast(pl.String)))
    positive = pl.col("quantity") > 0
    orders = lines.group_by("customer_id", "order_id").agg(
        pl.col("occurred_at").filter(positive).min(),
        pl.col("age").filter(positive).max(),
        pl.col("amount").sum(),
        amount_365d=pl.col("amount").filter(pl.col("age") <= YEAR_DAYS).sum(),
    )
    spend = pl.col("amount").sum() / 1e4
    totals = orders.group_by("customer_id").agg(
        orders=pl.col("age").count(),
        recency_days=pl.col("age").min().floor(),
        orders_90d=(pl.col("age") <= RECENT_DAYS).sum(),
        spend=spend,
        spend_365d=pl.col("amount_365d").sum() / 1e4,
        average_order_value=pl.when(pl.col("age").count() > 0).then(spend / pl.col("age").count()),
    )
    days = orders.filter(pl.col("occurred_at").is_not_null())
    days = days.select("customer_id", day=pl.col("occurred_at").dt.date()).unique().sort("customer_id", "day")
    gap = pl.col("day").diff().over("customer_id").dt.total_days()
    rhythms = days.with_columns(gap=gap).group_by("customer_id").agg(median_days_between_orders=pl.col("gap").median())
    web = history.events.filter(pl.col("kind") != Interaction.ORDER.value)
    web = web.select("customer_id", day=pl.col("occurred_at").dt.date())
    active = pl.concat([days, web]).unique().group_by("customer_id").agg(active_days=pl.len())
    kept = lines.group_by("customer_id", "product_id").agg(pl.col("quantity").sum()).filter(positive)
    bought = kept.group_by("customer_id").agg(products_bought=pl.len())
    people = history.events.select(pl.col("customer_id").unique())
    for frame in (totals, rhythms, active, bought):
        people = people.join(frame, on="customer_id", how="left")
    counts = ["orders", "products_bought", "active_days", "orders_90d", "spend", "spend_365d"]
    people = people.with_columns(pl.col(counts).fill_null(0), top_category=pl.lit(None, pl.String))
    return people.select(pl.col(name).cast(dtype) for name, dtype in CUSTOMERS.items()).sort("customer_id")
