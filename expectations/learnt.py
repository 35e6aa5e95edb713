"""The independent re-count of what the lists were made from: whose behaviour was used, what it came to,
and what sold best.

Compares features/, which the model reads, with raw/; no SQL is shared with the dbt project.
"""

from datetime import timedelta

import polars as pl

from expectations.activity import miscounted
from expectations.facts import Facts
from expectations.findings import found_none
from expectations.permission import Permissions
from recsys.audit import Check
from recsys.night import Night

SUITE = "recount/learnt"


def check(night: Night, known: Facts, permissions: Permissions) -> list[Check]:
    """Who may be personalised, whose interactions were learnt from, what features count, how the popular list is."""
    handed = pl.read_parquet(night.features / "customers.parquet")
    learnt = pl.scan_parquet(night.features / "interactions.parquet").select("customer_id").unique().collect()
    popular = pl.read_parquet(night.features / "popularity.parquet", columns=["product_id", "rank"]).sort("rank")
    expected = (
        permissions.customers.select("customer_id")
        .join(permissions.minors, on="customer_id", how="anti")
        .with_columns(expected=pl.col("customer_id").is_in(permissions.personalised["customer_id"].implode()))
    )
    people = handed.join(expected, on="customer_id", how="full", coalesce=True)
    misjudged = people.filter(pl.col("may_personalise").ne_missing(pl.col("expected")))
    others = learnt.join(permissions.personalised, on="customer_id", how="anti")
    ranks = popularity(night, known, permissions)
    misplaced = popular.join(ranks, on=["product_id", "rank"], how="anti")
    missing = ranks.join(popular, on=["product_id", "rank"], how="anti")
    handed_lists = pl.read_parquet(night.features / "popularity_by_country.parquet").cast({"rank": pl.Int64})
    lists = by_country(night, ranks, permissions)
    strangers = _contexts(night, lists).join(handed, on=["customer_id", "context"], how="anti", nulls_equal=True)
    strangers = strangers.join(handed, on="customer_id", how="semi")
    amiss = max(_beyond(handed_lists, lists), _beyond(lists, handed_lists)) + strangers.height
    miscounts, featured = miscounted(night, permissions)
    return [
        found_none(SUITE, "personalised_are_those_who_allow_it", misjudged.height, people.height, noun="customers"),
        found_none(SUITE, "learnt_from_those_who_allow_it", others.height, learnt.height, noun="customers"),
        found_none(SUITE, "features_count_nothing_sensitive", miscounts, featured, noun="customers"),
        found_none(
            SUITE,
            "popular_counts_those_who_allow_it",
            max(misplaced.height, missing.height),
            max(ranks.height, popular.height),
            noun="places",
        ),
        found_none(SUITE, "popular_lists_of_countries_are_theirs", amiss, lists.height + people.height, noun="rows"),
    ]


def _contexts(night: Night, lists: pl.DataFrame) -> pl.DataFrame:
    """customer_id and context: the country, where it has a popular list."""
    is_listed = pl.col("country").is_in(lists["context"].unique().implode())
    people = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "country"])
    return people.select("customer_id", context=pl.when(is_listed).then("country"))


def _beyond(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    return rows.join(those, on=rows.columns, how="anti").height


def popularity(night: Night, known: Facts, permissions: Permissions) -> pl.DataFrame:
    """product_id and rank of every eligible product, by distinct buyers lately, then ever, then product_id.

    A buyer is a customer who may be personalised, or an id that leads to nobody; orders of the other customers do not
    count. Somebody bought what they kept: pieces ordered less pieces returned.
    """
    others = permissions.customers.join(permissions.personalised, on="customer_id", how="anti")
    buyers = _kept(night, permissions).join(others, left_on="person", right_on="customer_id", how="anti")
    return (
        known.products.filter("is_eligible")
        .select("product_id")
        .join(_counted(buyers, "product_id"), on="product_id", how="left")
        .with_columns(pl.col("recent", "ever").fill_null(0))
        .sort("recent", "ever", "product_id", descending=[True, True, False])
        .select("product_id", rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    )


def by_country(night: Night, ranks: pl.DataFrame, permissions: Permissions) -> pl.DataFrame:
    """context, product_id and rank, as `popularity`, of each country in which enough customers bought lately.

    Of equal products the one goes first that does so everywhere (`ranks`).
    """
    countries = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "country"])
    of_country = countries.select(person="customer_id", context="country").drop_nulls()
    buyers = (
        _kept(night, permissions)
        .join(permissions.personalised, left_on="person", right_on="customer_id", how="semi")
        .join(of_country, on="person")
    )
    enough = night.shop.recommend.country_buyers
    sizes = buyers.filter(pl.col("recent") > 0).group_by("context").agg(pl.col("person").n_unique())
    large = sizes.filter(pl.lit(enough is not None) & (pl.col("person") >= (enough or 0))).select("context")
    return (
        large.join(ranks.rename({"rank": "overall"}), how="cross")
        .join(_counted(buyers, "context", "product_id"), on=["context", "product_id"], how="left")
        .with_columns(pl.col("recent", "ever").fill_null(0))
        .sort("context", "recent", "ever", "overall", descending=[False, True, True, False])
        .select("context", "product_id", rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("context"))
    )


def _kept(night: Night, permissions: Permissions) -> pl.DataFrame:
    """Product, person (the customer that an id leads to, else the id), and pieces kept, ever and lately."""
    since = night.end - timedelta(days=night.shop.recommend.popular_days)
    return (
        pl.scan_parquet(night.raw / "order_lines.parquet")
        .filter(pl.col("ordered_at") < night.end)
        .select(
            pl.coalesce("customer_id", "visitor_id").alias("id"),
            "product_id",
            "quantity",
            recent=pl.col("quantity") * (pl.col("ordered_at") >= since).cast(pl.Int64),
        )
        .join(permissions.ids.rename({"customer_id": "leads_to"}).lazy(), on="id", how="left")
        .with_columns(person=pl.coalesce("leads_to", "id"))
        .group_by("product_id", "person")
        .agg(pl.col("quantity", "recent").sum())
        .collect()
    )


def _counted(buyers: pl.DataFrame, *grain: str) -> pl.DataFrame:
    return buyers.group_by(grain).agg((pl.col("recent") > 0).sum(), ever=(pl.col("quantity") > 0).sum())
