"""From scores to lists: who may get which product, and in which order."""

import polars as pl

from recsys.vocabulary import Source

RANKED_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "rank": pl.Int32(),
        "product_id": pl.String(),
        "source": pl.String(),
        "score": pl.Float64(),
    }
)
"""One row per customer and rank, ordered by both; ranks from 1 without gaps."""


def eligible(products: pl.DataFrame) -> pl.Series:
    """product_ids that may be recommended at all. Unknown counts as no."""
    return products.filter(pl.col("is_eligible").fill_null(False)).get_column("product_id")


def not_again(interactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Pairs (customer_id, product_id) that were bought and are not used up: one does not buy them twice.

    A bought product that is not known to be replenishable counts as one of these.
    """
    replenishable = products.filter(pl.col("replenishable").fill_null(False)).select("product_id")
    return (
        interactions.filter(pl.col("is_bought").fill_null(False))
        .select("customer_id", "product_id")
        .join(replenishable, on="product_id", how="anti")
    )


def short_of(individual: pl.DataFrame, customers: pl.Series, k: int) -> pl.Series:
    """Those of the customers with fewer than k individual rows, down to none at all."""
    full = individual.group_by("customer_id").len().filter(pl.col("len") >= k)
    return customers.to_frame("customer_id").join(full, on="customer_id", how="anti").get_column("customer_id")


def ranked(individual: pl.DataFrame, popular: pl.DataFrame, k: int) -> pl.DataFrame:
    """At most k products per customer, as RANKED_SCHEMA: individual ones first, then popular ones not yet named.

    Both come as customer_id, product_id, score; within a source higher scores go first, then the smaller product_id.
    Scores of the two sources do not compare, so the rank says more than the score.
    """
    sources = [(Source.INDIVIDUAL, individual), (Source.POPULAR, popular)]
    return (
        pl.concat(
            frame.select("customer_id", "product_id", "score", source=pl.lit(source.value), turn=pl.lit(turn))
            for turn, (source, frame) in enumerate(sources)
        )
        .sort("customer_id", "turn", "score", "product_id", descending=[False, False, True, False])
        .unique(["customer_id", "product_id"], keep="first", maintain_order=True)
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("customer_id"))
        .filter(pl.col("rank") <= k)
        .select(RANKED_SCHEMA.names())
        .match_to_schema(RANKED_SCHEMA)
    )
