"""Both stages in one call: the best products of each customer."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.models.recommender import LIST_SCHEMA
from recsys.twostage.candidates import Candidates
from recsys.twostage.history import History
from recsys.twostage.pool import Pool
from recsys.twostage.ranker import Ranker


def rank(history: History, ranker: Ranker, customers: pl.Series, excluded: pl.DataFrame, n: int) -> pl.DataFrame:
    """The n best eligible products of each of these customers, as LIST_SCHEMA.

    `excluded` (customer_id, product_id) are pairs that may not be named. Lists may be shorter than n, and a customer
    without any event has no row. Every score is above 0; among equal ones the smaller product_id goes first. Scores
    compare within one customer only. The order of the rows given makes no difference.
    """
    return rank_of(Pool(history, ranker.settings.tastes, ranker.settings.counts), ranker, customers, excluded, n)


def rank_of(pool: Pool, ranker: Ranker, customers: pl.Series, excluded: pl.DataFrame, n: int) -> pl.DataFrame:
    """As `rank`, of a pool made before with the ranker's settings."""
    purchases = pool.sources.purchases
    asked = np.flatnonzero(purchases.customers.is_in(customers.unique().implode()).to_numpy()).astype(np.int32)
    barred = purchases.marked(excluded)
    if n < 1 or not len(asked):
        return LIST_SCHEMA.to_frame()

    def best(pairs: Candidates) -> tuple[NDArray[np.generic], ...]:
        chosen, scores = ranker.best(pairs.customer, pairs.product, pool.features.of(pairs), n)
        return pairs.customer[chosen], pairs.product[chosen], scores

    parts = pool.sources.each(asked, barred, best)
    customer, product, score = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return pl.DataFrame(
        {
            "customer_id": purchases.customers.gather(customer),
            "product_id": purchases.products.gather(product),
            "score": score,
        }
    ).match_to_schema(LIST_SCHEMA)


def with_newcomers(lists: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """`lists` (LIST_SCHEMA) with products among them that nobody has touched yet, of which a ranker can know nothing.

    `named` (customer_id, product_id, rank from 1) says where another recommender has them: there they stand here, too,
    with a score between those of their neighbours. One whose rank lies beyond a list's end is left out.
    """
    customer = pl.col("customer_id")
    order = pl.int_range(pl.len(), dtype=pl.Int32)
    rows = lists.sort("customer_id", "score", "product_id", descending=[False, True, False])
    scores = rows.select("customer_id", before=order.over("customer_id"), below=pl.col("score").log())
    places = (
        named.join(lists, on=["customer_id", "product_id"], how="anti")
        .sort("customer_id", "rank")
        .with_columns(before=pl.col("rank").cast(pl.Int32) - 1 - order.over("customer_id"))
        .join(scores, on=["customer_id", "before"])
        .join(scores.select(customer, pl.col("before") + 1, above="below"), on=["customer_id", "before"], how="left")
        .sort("customer_id", "rank")
        .with_columns(above=pl.col("above").fill_null(pl.col("below") + 1))
    )
    down = (order.over("customer_id", "before") + 1) / (pl.len().over("customer_id", "before") + 1)
    score = (pl.col("above") + (pl.col("below") - pl.col("above")) * down).exp()
    return pl.concat([rows, places.select("customer_id", "product_id", score=score)]).sort(
        "customer_id", "score", "product_id", descending=[False, True, False]
    )
