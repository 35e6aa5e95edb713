"""The re-count of needs: what was bought and is not wanted again yet, or ever, and lists that have become narrow.

From raw orders, products, preferences, the ledger and the lists; it shares no SQL with the dbt project. It judges
customers whose every purchase it can place: those of whom an id leads to several people, or over several links, are
the dbt project's to find. It holds only what is clear: rhythms and shares that rest on twice the buyers that the shop
file asks for. Whatever it finds is critical.
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from expectations.evidence import Evidence
from expectations.facts import links_seen
from expectations.findings import found_none
from expectations.permission import Permissions
from expectations.sent import by_topic
from recsys.audit import Check
from recsys.night import Night

SUITE = "recount/needs"
CLEARLY = 2
"""So many times the buyers or repurchases that the shop file asks for make a rhythm clear."""
SLACK = 0.5
"""Of the time before a product is due, so much is checked where the rhythm is other people's."""


@dataclass(frozen=True)
class Bought:
    """What people bought and kept, of products that are not sensitive and people who may be personalised.

    `days`: customer_id, product_id, category, replenishable, day; each once. `placed`: customer_id of those whose
    every purchase is in it for sure.
    """

    days: pl.DataFrame
    placed: pl.DataFrame


def check(evidence: Evidence, permissions: Permissions) -> list[Check]:
    """The re-count of all lists, exported or not."""
    night, rows = evidence.night, evidence.recommendations.select("customer_id", "product_id")
    products = _products(night)
    bought = gather(night, products, permissions)
    theirs = rows.join(bought.placed, on="customer_id", how="semi").join(products, on="product_id")
    not_due = theirs.join(_not_due(night, bought.days), on=["customer_id", "product_id"], how="semi")
    finished = theirs.join(_finished(night, bought.days, products), on=["customer_id", "category"], how="semi")
    narrow = _narrow(night, products, permissions)
    beyond = (
        rows.join(products, on="product_id")
        .join(narrow, on=["customer_id", "top_category"], how="semi")
        .group_by("customer_id", "top_category")
        .len()
        .filter(pl.col("len") > night.shop.needs.narrow_at_most)
    )
    return [
        found_none(SUITE, "nothing_before_it_is_due", not_due.height, theirs.height, noun="items"),
        found_none(SUITE, "nothing_of_a_finished_need", finished.height, theirs.height, noun="items"),
        found_none(SUITE, "narrow_lists_are_broadened", beyond.height, narrow.height, noun="narrow lists"),
    ]


def gather(night: Night, products: pl.DataFrame, permissions: Permissions) -> Bought:
    """Read purchases, and tell whose are complete."""
    known = permissions.customers.select("customer_id")
    links = links_seen(night)
    strangers = links.join(known, left_on="id", right_on="customer_id", how="anti")
    is_known = pl.col("customer_id").is_in(known["customer_id"].implode())
    unclear = strangers.filter((pl.len().over("id") > 1) | ~is_known).select("id").unique()
    reached = strangers.join(unclear, on="id", how="semi").filter(is_known).select("customer_id").unique()
    ids = pl.concat(
        [
            known.select(id="customer_id", customer_id="customer_id"),
            strangers.join(unclear, on="id", how="anti").select("id", "customer_id"),
        ]
    )
    lines = (
        pl.scan_parquet(night.raw / "order_lines.parquet")
        .filter(pl.col("ordered_at") < night.end)
        .select(pl.coalesce("customer_id", "visitor_id").alias("id"), "product_id", "quantity", "ordered_at")
        .collect()
        .join(ids, on="id")
        .join(permissions.personalised, on="customer_id", how="semi")
        .join(products, on="product_id")
    )
    pair = ["customer_id", "product_id"]
    kept = lines.group_by(pair).agg(pl.col("quantity").sum()).filter(pl.col("quantity") > 0)
    days = (
        lines.filter(pl.col("quantity") > 0)
        .join(kept, on=pair, how="semi")
        .select(*pair, "category", "replenishable", day=pl.col("ordered_at").dt.date())
        .unique()
    )
    placed = permissions.personalised.join(reached, on="customer_id", how="anti")
    return Bought(days, placed)


def _products(night: Night) -> pl.DataFrame:
    """product_id, replenishable, category (the need), top_category of products that are not sensitive."""
    steps = (
        pl.col("category")
        .str.to_lowercase()
        .str.split(">")
        .list.eval(pl.element().str.strip_chars().replace("", None).drop_nulls())
    )
    category = steps.list.head(night.shop.needs.category_levels).list.join(" > ")
    return (
        pl.read_parquet(
            night.raw / "products.parquet", columns=["product_id", "category", "replenishable", "sensitive"]
        )
        .filter(~pl.col("sensitive").fill_null(value=False))
        .select(
            "product_id",
            pl.col("replenishable").fill_null(value=False),
            category=pl.when(category != "").then(category),
            top_category=steps.list.first(),
        )
    )


def _not_due(night: Night, days: pl.DataFrame) -> pl.DataFrame:
    """Pairs customer_id, product_id that were bought and are clearly not due: by their own rhythm, or the product's."""
    needs, pair = night.shop.needs, ["customer_id", "product_id"]
    used_up = days.filter("replenishable").sort(*pair, "day")
    used_up = used_up.with_columns(gap=pl.col("day").diff().over(pair).dt.total_days())
    typical = (
        used_up.drop_nulls("gap")
        .group_by("product_id")
        .agg(typical=pl.col("gap").median(), repurchases=pl.len())
        .filter(pl.col("repurchases") >= CLEARLY * needs.min_gaps)
    )
    has_own = pl.col("gaps") >= 2
    waits = pl.when(has_own).then(pl.col("own") * needs.due_from).otherwise(pl.col("typical") * needs.due_from * SLACK)
    return (
        used_up.group_by(pair)
        .agg(own=pl.col("gap").median(), gaps=pl.col("gap").count(), last=pl.col("day").max())
        .join(typical, on="product_id", how="left")
        .filter((pl.lit(night.run_date) - pl.col("last")).dt.total_days() < waits)
        .select(pair)
    )


def _finished(night: Night, days: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Pairs customer_id, category of clearly one-off needs for which nothing was bought for longer than a burst.

    Without customers who ever said that they are interested in anything: it may be this.
    """
    needs, pair = night.shop.needs, ["customer_id", "category"]
    one_off = products.group_by("category").agg(pl.col("replenishable").any()).filter(~pl.col("replenishable"))
    visits = days.join(one_off, on="category", how="semi").select(*pair, "day").unique().sort(*pair, "day")
    is_same = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in pair)
    second_bursts = (
        visits.with_columns(before=pl.when(is_same).then(pl.col("day").shift()))
        .filter((pl.col("day") - pl.col("before")).dt.total_days() > needs.burst_days)
        .group_by(pair)
        .agg(first_end=pl.col("before").min(), second=pl.col("day").min())
    )
    buyers = (
        visits.group_by(pair)
        .agg(last=pl.col("day").max())
        .join(second_bursts, on=pair, how="left")
        .with_columns(pl.col("first_end").fill_null(pl.col("last")))
    )
    watched = pl.lit(night.run_date - timedelta(days=needs.observe_days))
    stays_away = (pl.col("second") - pl.col("first_end")).dt.total_days().fill_null(10**6) > needs.observe_days
    clear = (
        buyers.filter(pl.col("first_end") <= watched)
        .group_by("category")
        .agg(buyers=pl.len(), share=stays_away.mean())
        .filter(
            pl.col("buyers") >= CLEARLY * needs.min_buyers,
            pl.col("share") >= (1 + needs.one_off_share) / 2,
        )
    )
    wanted = _interested(night)
    return (
        buyers.join(clear, on="category", how="semi")
        .filter((pl.lit(night.run_date) - pl.col("last")).dt.total_days() > needs.burst_days)
        .join(wanted, on="customer_id", how="anti")
        .select(pair)
    )


def _interested(night: Night) -> pl.DataFrame:
    """customer_id of everybody who said, under whatever id leads to them, that they are interested in something."""
    said = (
        pl.scan_parquet(night.raw / "preferences.parquet")
        .filter(pl.col("choice") == "interested")
        .select(id="customer_id")
        .unique()
        .collect()
    )
    linked = links_seen(night).join(said, on="id", how="semi").select("customer_id")
    return pl.concat([said.select(customer_id="id"), linked]).unique()


def _narrow(night: Night, products: pl.DataFrame, permissions: Permissions) -> pl.DataFrame:
    """Pairs customer_id, top_category whose items of the ledger's nights lie in it beyond the limit.

    A product counts once a night, however many channels carried it.
    """
    needs = night.shop.needs
    topics = products.select("product_id", topic="top_category").drop_nulls()
    items = by_topic(night, topics).join(permissions.personalised, on="customer_id", how="semi")
    return (
        items.with_columns(everything=pl.col("items").sum().over("customer_id"))
        .filter(
            pl.col("everything") >= needs.narrow_min_items,
            pl.col("items") / pl.col("everything") > needs.narrow_share,
        )
        .select("customer_id", top_category="topic")
    )
