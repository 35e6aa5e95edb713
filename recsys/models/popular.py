"""The popular list: the same products for everybody, less those that a customer must not get."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.models.recommender import EVERYTHING, LIST_SCHEMA, Recommender
from recsys.models.topics import Topics, blocked

BATCH = 4_000
"""Customers at a time, and with them the memory that is needed."""
WINDOW = 64
"""How much further than n the first look goes; hardly anybody has more products barred among the most bought."""


class PopularList(Recommender):
    """Names the most bought products first, to anybody.

    Made from product_id and rank (1 = most bought, no two equal). A score is 1 / rank.
    """

    def __init__(self, popularity: pl.DataFrame) -> None:
        self._popularity = popularity.select("product_id", "rank").sort("rank")

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        pool = self._popularity.filter(pl.col("product_id").is_in(candidates.implode()))
        wanted = topics.asked(customers.unique().sort())
        products = pool.get_column("product_id")
        if n < 1 or not len(wanted) or not len(products):
            return LIST_SCHEMA.to_frame()
        barred = blocked(wanted, products, excluded.select("customer_id", "product_id"), topics)
        parts = [
            _first(barred, rows[start : start + BATCH], columns, n)
            for rows, columns in topics.groups(wanted, products)
            for start in range(0, len(rows), BATCH)
        ]
        if not parts:
            return LIST_SCHEMA.to_frame()
        places = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        named = pl.DataFrame(dict(zip(("row", "column"), places, strict=True))).unique().sort("row", "column")
        ranks = pool.get_column("rank").gather(named.get_column("column"))
        return pl.DataFrame(
            {
                "customer_id": wanted.gather(named.get_column("row")),
                "product_id": products.gather(named.get_column("column")),
                "score": 1.0 / ranks,
            },
            schema=LIST_SCHEMA,
        )


class PopularOf(Recommender):
    """Names what is most bought in the context that a customer belongs to, as `PopularList` of it would.

    Made from `contexts` (customer_id, context; one row per customer), `popularity` (context, product_id, rank), and
    `otherwise`, which is asked for customers of no context, or of one without products.
    """

    def __init__(self, contexts: pl.DataFrame, popularity: pl.DataFrame, otherwise: Recommender) -> None:
        self._contexts = contexts.select("customer_id", "context")
        parts = popularity.sort("context", "rank").partition_by("context", as_dict=True, include_key=False)
        self._lists = {context: PopularList(part) for (context,), part in parts.items()}
        self._otherwise = otherwise

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        asked = customers.unique().sort().to_frame("customer_id").join(self._contexts, on="customer_id", how="left")
        lists = [LIST_SCHEMA.to_frame()]
        known = pl.when(pl.col("context").is_in(list(self._lists))).then("context")
        parts = asked.with_columns(context=known).sort("context", "customer_id").partition_by("context", as_dict=True)
        for (context,), members in parts.items():
            theirs = excluded.select("customer_id", "product_id").join(members, on="customer_id", how="semi")
            one = self._lists.get(context, self._otherwise)
            lists.append(one.recommend(members.get_column("customer_id"), candidates, theirs, n, topics))
        return pl.concat(lists).sort("customer_id", "score", "product_id", descending=[False, True, False])


def _first(
    barred: csr_matrix, rows: NDArray[np.int32], columns: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of each row the first n of the ascending columns that are not barred: rows and columns, one entry each.

    The look goes four times as far for those rows that did not get n.
    """
    found: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
    reach = n + WINDOW
    while len(rows):
        seen = columns[:reach]
        is_free = barred[rows][:, seen].toarray() == 0
        place = is_free.cumsum(axis=1)
        is_done = (place[:, -1] >= n) | (len(seen) == len(columns))
        row, column = np.nonzero(is_free & (place <= n) & is_done[:, None])
        found.append((rows[row], seen[column]))
        rows, reach = rows[~is_done], 4 * reach
    return np.concatenate([row for row, _ in found]), np.concatenate([column for _, column in found])
