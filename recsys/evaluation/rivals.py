"""Simple recommenders that a model has to beat. Each learns from what a night would know, none from anything else."""

from abc import abstractmethod

import numpy as np
import polars as pl
from implicit.nearest_neighbours import ItemItemRecommender
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.models.matrix import PAIR, InteractionMatrix, positions
from recsys.models.popular import PopularList, PopularOf
from recsys.models.recommender import EVERYTHING, LIST_SCHEMA, Recommender
from recsys.models.topics import Topics, blocked

BATCH = 1_000
"""Customers at a time, and with them the memory that is needed."""


def segment_popular(segments: pl.DataFrame, bought: pl.DataFrame, popularity: pl.DataFrame) -> Recommender:
    """Names what most customers of the same segment bought, then what is popular with everybody.

    Made from `segments` (customer_id, segment; one row per customer), `bought` (customer_id, product_id; distinct) and
    `popularity` (product_id, rank). A score is 1 / place; within a segment ties go by the overall rank.
    """
    overall = popularity.select("product_id", overall="rank")
    contexts = segments.select("customer_id", context="segment")
    buyers = bought.join(contexts, on="customer_id").group_by("context", "product_id").agg(buyers=pl.len())
    ranked = (
        buyers.select("context")
        .drop_nulls()
        .unique()
        .join(overall, how="cross")
        .join(buyers, on=["context", "product_id"], how="left")
        .sort("context", pl.col("buyers").fill_null(0), "overall", descending=[False, True, False])
        .select("context", "product_id", rank=pl.int_range(1, pl.len() + 1).over("context"))
    )
    return PopularOf(contexts, ranked, PopularList(popularity))


class Scores(Recommender):
    """A recommender that knows a score for every pair of some customers and products."""

    def __init__(self, customers: pl.Series, products: pl.Series) -> None:
        """Both are sorted and distinct."""
        self._customers = customers
        self._products = products

    @abstractmethod
    def _scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """One row per place in the customers, one column per product; at most 0 says nothing."""

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        rows, columns = (
            positions(known, "id", "place").filter(pl.col("id").is_in(ids.implode())).get_column("place").to_numpy()
            for known, ids in ((self._customers, topics.asked(customers)), (self._products, candidates))
        )
        if n < 1 or not len(rows) or not len(columns):
            return LIST_SCHEMA.to_frame()
        names, products = self._customers.gather(rows), self._products.gather(columns)
        barred = blocked(names, products, excluded.select(PAIR), topics)
        parts = []
        for asking, choice in topics.groups(names, products):
            for start in range(0, len(asking), BATCH):
                batch = asking[start : start + BATCH]
                scores = self._scores(rows[batch])[:, columns[choice]]
                scores[barred[batch][:, choice].toarray() > 0] = 0
                best = np.argsort(-scores, axis=1, kind="stable")[:, :n]
                found = np.take_along_axis(scores, best, axis=1)
                is_meant = found > 0
                owners = np.broadcast_to(batch[:, None], best.shape)
                parts.append((owners[is_meant], choice[best][is_meant], found[is_meant]))
        row, column, score = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        lists = pl.DataFrame(
            {
                "customer_id": names.gather(row),
                "product_id": products.gather(column),
                "score": score.astype(np.float64),
            },
            schema=LIST_SCHEMA,
        )
        return lists.unique(PAIR, keep="first").sort(
            "customer_id", "score", "product_id", descending=[False, True, False]
        )


class OwnHistory(Scores):
    """Names what the customer bought most and most recently; what they never had to do with comes in no list.

    Made from customer_id, product_id, weight: one row per pair, weights above 0. A score is the weight.
    """

    def __init__(self, interactions: pl.DataFrame) -> None:
        matrix = InteractionMatrix.of(interactions)
        super().__init__(matrix.customers, matrix.products)
        self._weights = _sparse(matrix)

    def _scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._weights[rows].toarray()  # type: ignore[no-any-return]


class ItemCosine(Scores):
    """Names what is bought by the same customers as the products a customer already had to do with.

    Item-item cosine over the weights, computed by the `implicit` library; each product keeps its `neighbours` nearest.
    A score is the sum of weight x similarity over the customer's products (Deshpande, Karypis 2004).
    """

    def __init__(self, interactions: pl.DataFrame, neighbours: int = 100) -> None:
        matrix = InteractionMatrix.of(interactions)
        super().__init__(matrix.customers, matrix.products)
        self._weights = _sparse(matrix)
        self._similar = csr_matrix((len(matrix.products),) * 2, dtype=np.float32)
        if len(matrix.weights):
            lengths = np.sqrt(np.asarray(self._weights.multiply(self._weights).sum(axis=0)).ravel())
            library = ItemItemRecommender(K=neighbours, num_threads=1)
            with threadpool_limits(1, "blas"):
                library.fit((self._weights @ diags_array(1 / lengths)).tocsr().astype(np.float64), show_progress=False)
            self._similar = library.similarity.tocsr().astype(np.float32)
            self._similar.setdiag(0)

    def _scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return (self._weights[rows] @ self._similar).toarray()  # type: ignore[no-any-return]


class Then(Recommender):
    """Names what the first recommender names, and after it what the second one does. A score is 1 / place."""

    def __init__(self, first: Recommender, second: Recommender) -> None:
        self._first, self._second = first, second

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        lists = pl.concat(
            one.recommend(customers, candidates, excluded, n, topics).with_columns(turn=pl.lit(turn))
            for turn, one in enumerate((self._first, self._second))
        )
        place = pl.int_range(1, pl.len() + 1).over("customer_id")
        return (
            lists.sort("customer_id", "turn", "score", "product_id", descending=[False, False, True, False])
            .unique(PAIR, keep="first", maintain_order=True)
            .filter(place <= n)
            .with_columns(score=1.0 / place)
            .select(LIST_SCHEMA.names())
        )


def _sparse(matrix: InteractionMatrix) -> csr_matrix:
    shape = (len(matrix.customers), len(matrix.products))
    return csr_matrix((matrix.weights.astype(np.float32), matrix.columns, matrix.row_starts), shape=shape)
