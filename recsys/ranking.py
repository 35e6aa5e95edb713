"""From scores to lists: who may get which product, and in which order."""

from dataclasses import dataclass

import polars as pl

from recsys.topic_rules import PAIR, TopicRules
from recsys.variety import NO_LIMITS, Variety
from recsys.vocabulary import Reason, Source

RANKED_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "rank": pl.Int32(),
        "product_id": pl.String(),
        "source": pl.String(),
        "score": pl.Float64(),
        "because": pl.String(),
        "topic": pl.String(),
    }
)
"""One row per customer and rank, ordered by both; ranks from 1 without gaps."""


def eligible(products: pl.DataFrame) -> pl.Series:
    """product_ids that may be recommended at all. Unknown counts as no."""
    return products.filter(pl.col("is_eligible").fill_null(False)).get_column("product_id")


def not_again(interactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Pairs (customer_id, product_id) that were bought and are not wanted again: one does not buy them twice.

    A bought product that is not known to be replenishable counts as one of these, and so does one that is not due yet.
    One of which nobody knows how soon it is used up may be named.
    """
    is_wanted_again = pl.col("replenishable").fill_null(False) & pl.col("is_due").fill_null(True)
    return (
        interactions.filter(pl.col("is_bought").fill_null(False))
        .join(products.select("product_id", "replenishable"), on="product_id", how="left", maintain_order="left")
        .filter(~is_wanted_again)
        .select("customer_id", "product_id")
    )


@dataclass(frozen=True)
class Limits:
    """How many of what a list may hold: by the customer's own topic rules, and for everybody alike."""

    rules: TopicRules
    variety: Variety = NO_LIMITS

    def within(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows (WEIGHED_SCHEMA), best first per customer, that no limit leaves out."""
        return self.variety.within(self.rules.within_limits(rows))


def short_of(individual: pl.DataFrame, customers: pl.Series, limits: Limits, k: int) -> pl.Series:
    """Those of the customers with fewer than k individual rows (WEIGHED_SCHEMA) within the limits, down to none."""
    is_limited = pl.lit(value=True) if limits.variety.most else pl.col("limited")
    limited = individual.filter(is_limited).sort("customer_id", "score", "product_id", descending=[False, True, False])
    kept = pl.concat([individual.filter(~is_limited), limits.within(limited)])
    full = kept.group_by("customer_id").len().filter(pl.col("len") >= k)
    return customers.to_frame("customer_id").join(full, on="customer_id", how="anti").get_column("customer_id")


def numbered(lists: pl.DataFrame, k: int) -> pl.DataFrame:
    """customer_id, rank (from 1), product_id: the first k of each customer's LIST_SCHEMA rows, ordered by both."""
    return (
        lists.sort("customer_id", "score", "product_id", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("customer_id"))
        .filter(pl.col("rank") <= k)
        .select("customer_id", "rank", "product_id")
    )


def ranked(individual: pl.DataFrame, popular: pl.DataFrame, limits: Limits, k: int) -> pl.DataFrame:
    """At most k products per customer, as RANKED_SCHEMA: individual ones, then popular ones not yet named.

    Both come as WEIGHED_SCHEMA; within each, higher scores go first, then the smaller product_id. Scores of the two
    do not compare, so the rank says more than the score. What the customer bought before is `buy_again` instead of
    `individual`. Popular products of a topic that the customer said they are interested in go before the others and are
    `content`; popular rows stay popular, also when they were bought. `because` and `topic` say what lifted a product
    that would be further down, or not in the list, without any lift; they are null everywhere else.
    """
    of_interest = (pl.col("because") == Reason.INTERESTED.value).fill_null(value=False)
    content = pl.when(of_interest).then(pl.lit(Source.CONTENT.value)).otherwise(pl.lit(Source.POPULAR.value))
    rows = pl.concat(
        [
            individual.with_columns(source=pl.lit(Source.INDIVIDUAL.value), turn=pl.lit(0)),
            popular.with_columns(source=content, turn=pl.when(of_interest).then(1).otherwise(2)),
        ]
    )
    lifted = rows.filter(pl.col("because").is_not_null()).select("customer_id").unique()
    unlifted = _ranks(rows.join(lifted, on="customer_id", how="semi"), "unlifted", limits, k)
    is_content = pl.col("source") == Source.CONTENT.value
    is_moved = (pl.col("rank") < pl.col("rank_unlifted")).fill_null(value=True) | is_content
    is_again = pl.col("is_again").fill_null(value=False) & (pl.col("source") == Source.INDIVIDUAL.value)
    again = pl.lit(Source.BUY_AGAIN.value).alias("source")
    return (
        _ranks(rows, "score", limits, k)
        .join(unlifted.select(*PAIR, rank_unlifted="rank"), on=PAIR, how="left", maintain_order="left")
        .join(limits.variety.bought.with_columns(is_again=True), on=PAIR, how="left", maintain_order="left")
        .with_columns(
            pl.when(is_moved).then(pl.col("because", "topic")), pl.when(is_again).then(again).otherwise("source")
        )
        .select(RANKED_SCHEMA.names())
        .match_to_schema(RANKED_SCHEMA)
    )


def _ranks(rows: pl.DataFrame, score: str, limits: Limits, k: int) -> pl.DataFrame:
    """The first k of each customer's rows within the limits, each product once, with rank."""
    return (
        rows.sort("customer_id", "turn", score, "product_id", descending=[False, False, True, False])
        .unique(PAIR, keep="first", maintain_order=True)
        .pipe(limits.within)
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("customer_id"))
        .filter(pl.col("rank") <= k)
    )
