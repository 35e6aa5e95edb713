"""Accuracy of lists, customer by customer: did the first k products name what the customer turned out to want?"""

import numpy as np
import polars as pl

from recsys.errors import EvaluationError

PAIR = ["customer_id", "product_id"]

METRICS_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "hit_rate": pl.Float64(),
        "recall": pl.Float64(),
        "average_precision": pl.Float64(),
        "ndcg": pl.Float64(),
    }
)
"""One row per customer, ordered by customer_id; every metric from 0 to 1, higher is better."""


def accuracy(lists: pl.DataFrame, relevant: pl.DataFrame, customers: pl.Series, k: int) -> pl.DataFrame:
    """METRICS_SCHEMA: one row for each of `customers`, judged by the first k products of their lists.

    `lists` has customer_id, rank and product_id; `relevant` has customer_id and product_id; rows of anybody else are
    left out. Who has no list, or one without relevant products, gets 0 everywhere. With R relevant products, and
    rel(i) = 1 if the product at rank i is one of them and 0 if not:

    - hit_rate: 1 if any rel(i) is 1 for i <= k, else 0; the mean over customers is the hit rate
      (Deshpande, Karypis 2004, Item-based top-N recommendation algorithms).
    - recall: sum of rel(i) over i <= k, divided by R; at most k / R (Manning, Raghavan, Schütze 2008, section 8.3).
    - average_precision: sum over i <= k of rel(i) x the share of relevant ones among the first i, divided by R, not by
      the smaller of R and k (the same book, section 8.4).
    - ndcg: sum over i <= k of rel(i) / log2(i + 1), divided by what min(R, k) relevant products at the top would give
      (Järvelin, Kekäläinen 2002, Cumulated gain-based evaluation of IR techniques, with log2(i + 1) from rank 1 on).

    No customers: no rows. Raises EvaluationError when k or a rank is below 1, when a customer, a relevant pair, or a
    product or rank within a list is there twice, and when one of the customers has no relevant product.
    """
    eligible = customers.cast(pl.String).to_frame("customer_id")
    wanted = relevant.select(PAIR).join(eligible, on="customer_id", how="semi")
    named = lists.select(*PAIR, "rank").join(eligible, on="customer_id", how="semi").filter(pl.col("rank") <= k)
    _check(named, wanted, eligible, k)
    of_customer = pl.col("rank").rank("ordinal").over("customer_id")
    hits = (
        named.join(wanted, on=PAIR, how="semi")
        .sort("customer_id", "rank")
        .with_columns(precision=of_customer / pl.col("rank"), gain=1 / (pl.col("rank") + 1).cast(pl.Float64).log(2))
        .group_by("customer_id", maintain_order=True)
        .agg(found=pl.len(), precision=pl.col("precision").sum(), gain=pl.col("gain").sum())
    )
    judged = (
        wanted.group_by("customer_id")
        .agg(relevant=pl.len())
        .join(hits, on="customer_id", how="left")
        .with_columns(pl.col("found", "precision", "gain").fill_null(0))
        .join(_ideal(wanted, k), on="relevant", how="left")
        .sort("customer_id")
    )
    return judged.select(
        "customer_id",
        hit_rate=(pl.col("found") > 0).cast(pl.Float64),
        recall=pl.col("found") / pl.col("relevant"),
        average_precision=pl.col("precision") / pl.col("relevant"),
        ndcg=pl.col("gain") / pl.col("ideal"),
    ).match_to_schema(METRICS_SCHEMA)


def _ideal(wanted: pl.DataFrame, k: int) -> pl.DataFrame:
    """For every number of relevant products that somebody has, the gain of a list that could not be better."""
    numbers = wanted.group_by("customer_id").agg(relevant=pl.len()).select(pl.col("relevant").unique())
    best = np.minimum(numbers.get_column("relevant").to_numpy(), k)
    gains = np.cumsum(1 / np.log2(np.arange(2, best.max(initial=0) + 2)))
    return numbers.with_columns(ideal=gains[best - 1])


def _check(named: pl.DataFrame, wanted: pl.DataFrame, customers: pl.DataFrame, k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k is {k}; expected at least 1.")
    if named.filter(pl.col("rank") < 1).height:
        raise EvaluationError("lists: a rank is below 1; ranks count from 1.")
    for name, frame, columns in [
        ("customers", customers, ["customer_id"]),
        ("relevant", wanted, PAIR),
        ("lists", named, PAIR),
        ("lists", named, ["customer_id", "rank"]),
    ]:
        repeated = frame.height - frame.n_unique(columns)
        if repeated:
            raise EvaluationError(f"{name}: {repeated:,} of {frame.height:,} rows repeat a {' and '.join(columns)}.")
    unjudged = customers.join(wanted, on="customer_id", how="anti").height
    if unjudged:
        raise EvaluationError(
            f"customers: {unjudged:,} of {customers.height:,} have no relevant product, so nothing to be judged by. "
            "Leave them out."
        )
