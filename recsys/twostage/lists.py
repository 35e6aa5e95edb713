"""Both stages in one call: the best products of each customer."""

import numpy as np
import polars as pl

from recsys.models.recommender import LIST_SCHEMA
from recsys.twostage.candidates import Sources
from recsys.twostage.history import History
from recsys.twostage.purchases import place_in_run
from recsys.twostage.ranker import Ranker, scored

INDIVIDUAL, BUY_AGAIN = "individual", "buy_again"

SOURCED_SCHEMA = pl.Schema(LIST_SCHEMA | {"source": pl.String()})
"""LIST_SCHEMA with where a product came from: `buy_again` when the customer bought it before, else `individual`."""


def rank(history: History, ranker: Ranker, customers: pl.Series, excluded: pl.DataFrame, n: int) -> pl.DataFrame:
    """The n best eligible products of each of these customers, as SOURCED_SCHEMA.

    `excluded` (customer_id, product_id) are pairs that may not be named. Lists may be shorter than n, and a customer
    without any event has no row. Every score is above 0; among equal ones the smaller product_id goes first. Scores
    compare within one customer only. The order of the rows given makes no difference.
    """
    sources = Sources(history, ranker.settings.tastes, ranker.settings.counts)
    purchases = sources.purchases
    asked = np.flatnonzero(purchases.customers.is_in(customers.unique().implode()).to_numpy()).astype(np.int32)
    barred = purchases.marked(excluded)
    parts = []
    for pairs, matrix in scored(sources, asked, barred) if n > 0 else ():
        scores = ranker.score(matrix)
        order = np.lexsort((pairs.product, -scores, pairs.customer))
        best = order[place_in_run(pairs.customer[order]) < n]
        parts.append((pairs.customer[best], pairs.product[best], scores[best], pairs.entry[best] >= 0))
    if not parts:
        return SOURCED_SCHEMA.to_frame()
    customer, product, score, is_known = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return pl.DataFrame(
        {
            "customer_id": purchases.customers.gather(customer),
            "product_id": purchases.products.gather(product),
            "score": score,
            "source": np.where(is_known, BUY_AGAIN, INDIVIDUAL),
        }
    ).match_to_schema(SOURCED_SCHEMA)
