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
