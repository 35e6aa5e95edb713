"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky 2008), computed by the `implicit` library.

Only this module and `als_training` talk to its ALS. What is cleaned here: products that fill up short lists (score
-3.4e38, or product 0 at score 0), arbitrary products for customers without history, the order of ties, and files that
differ with the number of threads. Confidence is alpha x weight. BLAS runs on one thread: faster, and the same bytes
everywhere.
"""

import copy
import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.errors import ModelError
from recsys.files import read_json, replace_file, sha256_of, write_json
from recsys.model_settings import Recommend
from recsys.models.als_training import card_of, trained, versioned
from recsys.models.contributions import Histories, Whitened, confidences, customer_vectors
from recsys.models.matrix import InteractionMatrix, positions
from recsys.models.newcomers import vectors_of
from recsys.models.own_best import is_among_best
from recsys.models.reasons import Reasons
from recsys.models.recommender import EVERYTHING, LIST_SCHEMA, Model
from recsys.models.topics import Topics, blocked
from recsys.tables import write_parquet

BATCH = 4_000
"""Customers per call: larger ones are no faster and need more memory."""

FACTORS, CUSTOMERS, PRODUCTS, CARD = "factors.npz", "customers.parquet", "products.parquet", "card.json"


class AlsModel(Model):
    """A vector of tastes per customer and per product; a pair's score is their inner product."""

    def __init__(
        self,
        library: AlternatingLeastSquares,
        customers: pl.Series,
        products: pl.Series,
        card: dict[str, Any],
        is_learnt: NDArray[np.bool_] | None = None,
    ) -> None:
        """Use `fit` or `load`. Row i of the library's factors belongs to id i of the sorted ids.

        `is_learnt` per product: its vector comes from interactions, as that of every product does unless it is told.
        """
        self._library = library
        self._customers = customers
        self._products = products
        self._card = card
        self._is_learnt = np.ones(len(products), dtype=bool) if is_learnt is None else is_learnt

    @property
    def version(self) -> str:
        return str(self._card["model_version"])

    @property
    def vectors(self) -> tuple[pl.Series, pl.Series, NDArray[np.float32], NDArray[np.float32]]:
        """Sorted customer_ids and product_ids, and a row of numbers for each of them."""
        return self._customers, self._products, self._library.user_factors, self._library.item_factors

    @classmethod
    def fit(cls, interactions: pl.DataFrame, settings: Recommend) -> Self:
        matrix = InteractionMatrix.of(interactions)
        library = trained(matrix, settings)
        return cls(library, matrix.customers, matrix.products, card_of(matrix, settings))

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        rows = _known(topics.asked(customers), self._customers)
        columns = _known(candidates, self._products)
        if n < 1 or not len(rows) or not len(columns):
            return LIST_SCHEMA.to_frame()
        customers, products = self._customers.gather(rows), self._products.gather(columns)
        barred = blocked(customers, products, excluded, topics)
        narrow = copy.copy(self._library)
        narrow.item_factors = self._library.item_factors[columns]
        parts = []
        with threadpool_limits(1, "blas"):
            for asking, choice in topics.groups(customers, products):
                for start in range(0, len(asking), BATCH):
                    batch = asking[start : start + BATCH]
                    found, scores = _best(narrow, rows[batch], barred[batch], choice, n, n + 1)
                    is_meant = scores > 0
                    owners = np.broadcast_to(batch[:, None], found.shape)
                    parts.append((owners[is_meant], found[is_meant], scores[is_meant]))
        if not parts:
            return LIST_SCHEMA.to_frame()
        row, column, score = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        lists = pl.DataFrame({"row": row, "column": column, "score": score.astype(np.float64)})
        if topics.within is not None:
            lists = lists.sort("row", "score", "column", descending=[False, True, False])
            lists = lists.unique(["row", "column"], keep="first", maintain_order=True)
        return lists.select(
            customer_id=customers.gather(lists.get_column("row")),
            product_id=products.gather(lists.get_column("column")),
            score="score",
        ).match_to_schema(LIST_SCHEMA)

    @property
    def customers(self) -> pl.Series:
        """customer_ids that it has a taste of, ordered."""
        return self._customers

    def with_tastes_of(self, others: pl.DataFrame) -> Self:
        """The same model, but the taste of each customer_id in `others` is that of the customer `taste_of` beside it.

        `others` has one row per customer_id. Raises ModelError when the model has no taste of somebody in it.
        """
        places = positions(self._customers, "id", "place")
        named = others.join(places.rename({"id": "customer_id", "place": "row"}), on="customer_id").join(
            places.rename({"id": "taste_of", "place": "from_row"}), on="taste_of"
        )
        if named.height != others.height:
            raise ModelError(f"tastes: {others.height - named.height:,} of {others.height:,} customers are not known.")
        library = copy.copy(self._library)
        library.user_factors = self._library.user_factors.copy()
        row, from_row = named.get_column("row").to_numpy(), named.get_column("from_row").to_numpy()
        library.user_factors[row] = self._library.user_factors[from_row]
        return type(self)(library, self._customers, self._products, self._card, self._is_learnt)

    def with_customers(self, interactions: pl.DataFrame) -> Self:
        """The same model, and besides the taste of every customer of the interactions whom it does not know.

        `interactions` as for `fit`; of products that it does not know nothing is learnt. A taste is exact, as if the
        products had their vectors and this customer came last. Raises ModelError as `fit` does.
        """
        known = interactions.filter(
            ~pl.col("customer_id").is_in(self._customers.implode()),
            pl.col("product_id").is_in(self._products.implode()),
        )
        if known.is_empty():
            return self
        matrix = InteractionMatrix.of(known)
        places = np.searchsorted(self._products.to_numpy(), matrix.products.to_numpy()).astype(np.int32)
        histories = Histories(
            matrix.row_starts, places[matrix.columns], confidences(matrix.weights, self._library.alpha)
        )
        library = copy.copy(self._library)
        with threadpool_limits(1, "blas"):
            space = Whitened.of(library.item_factors, library.regularization, self._is_learnt)
            found = np.concatenate([library.user_factors, customer_vectors(space, histories)])
        customers = pl.concat([self._customers, matrix.customers])
        order = customers.arg_sort()
        library.user_factors = np.ascontiguousarray(found[order.to_numpy()])
        card = versioned(self._card | {"folded_in_sha256": matrix.sha256})
        return type(self)(library, customers.gather(order), self._products, card, self._is_learnt)

    def with_products(self, newcomers: pl.Series, topics: pl.DataFrame) -> Self:
        """The same model, and a vector for those newcomers that nobody has touched; see `recsys.models.newcomers`.

        `topics`: product_id, topic. Tastes and scores of all other products stay as they are.
        """
        learnt = self._products.filter(pl.Series(self._is_learnt))
        told, vectors = vectors_of(newcomers, topics, learnt, self._library.item_factors[self._is_learnt])
        if told.is_empty():
            return self
        products = pl.concat([learnt, told])
        order = products.arg_sort()
        library = copy.copy(self._library)
        every = np.concatenate([self._library.item_factors[self._is_learnt], vectors])
        library.item_factors = np.ascontiguousarray(every[order.to_numpy()])
        digest = hashlib.sha256("\n".join(told).encode() + vectors.tobytes()).hexdigest()
        is_learnt = (order < len(learnt)).to_numpy()
        card = versioned(self._card | {"newcomers_sha256": digest})
        return type(self)(library, self._customers, products.gather(order), card, is_learnt)

    def among_best(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of the rows (customer_id, product_id) that it would by itself put among the customer's best products.

        See `recsys.models.own_best`. Their order stays; a pair that it knows nothing of is none of them.
        """
        known = (
            rows.join(positions(self._customers, "customer_id", "row"), on="customer_id", maintain_order="left")
            .join(positions(self._products, "product_id", "column"), on="product_id", maintain_order="left")
            .select("customer_id", "product_id", "row", "column")
        )
        pairs = (known.get_column(name).to_numpy() for name in ("row", "column"))
        with threadpool_limits(1, "blas"):
            is_best = is_among_best(self._library.user_factors, self._library.item_factors, *pairs)
        return known.select("customer_id", "product_id").filter(pl.Series(is_best, dtype=pl.Boolean))

    def explain(self, rows: pl.DataFrame, interactions: pl.DataFrame, nameable: pl.Series, top: int) -> pl.DataFrame:
        """The `top` own products that each row's score comes from, as REASON_SCHEMA; see `recsys.models.reasons`."""
        reasons = Reasons(
            self._customers,
            self._products,
            self._library.item_factors,
            self._library.regularization,
            self._library.alpha,
            self._is_learnt,
        )
        with threadpool_limits(1, "blas"):
            return reasons.of(rows, interactions, nameable, top)

    def save(self, folder: Path) -> None:
        anywhere = copy.copy(self._library)
        anywhere.num_threads = 0
        replace_file(folder / FACTORS, lambda aside: _write_factors(anywhere, aside))
        write_parquet(self._customers.to_frame("customer_id"), folder / CUSTOMERS)
        products = self._products.to_frame("product_id").with_columns(is_learnt=pl.Series(self._is_learnt))
        write_parquet(products, folder / PRODUCTS)
        hashes = {name: sha256_of(folder / name) for name in (FACTORS, CUSTOMERS, PRODUCTS)}
        write_json(folder / CARD, self._card | {"files": hashes})

    @classmethod
    def load(cls, folder: Path, threads: int = 0) -> Self:
        for name in (FACTORS, CUSTOMERS, PRODUCTS, CARD):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: missing, so the model is not complete. Run the recommend stage.")
        card = read_json(folder / CARD)
        for name, saved in card.pop("files").items():
            if sha256_of(folder / name) != saved:
                raise ModelError(f"{folder / name}: not the bytes that were saved. Run the recommend stage again.")
        with threadpool_limits(1, "blas"):
            library = AlternatingLeastSquares.load(str(folder / FACTORS))
        library.num_threads = threads
        customers = pl.read_parquet(folder / CUSTOMERS).get_column("customer_id")
        products = pl.read_parquet(folder / PRODUCTS)
        is_learnt = products.get_column("is_learnt").to_numpy()
        return cls(library, customers, products.get_column("product_id"), card, is_learnt)


def _best(
    library: AlternatingLeastSquares,
    rows: NDArray[np.int32],
    barred: csr_matrix,
    columns: NDArray[np.int32],
    n: int,
    asked: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Per row the n best columns and their scores, in order; filler is left in at scores of 0 or less.

    The library keeps any of several products that tie for the last place. So one more than n is asked for, and
    rows where a tie may go on beyond what came back are asked again for twice as many.
    """
    asked = min(asked, len(columns))
    some = columns if len(columns) < library.item_factors.shape[0] else None  # sparing the library a look at each pair
    found, scores = library.recommend(rows, barred, N=asked, items=some, filter_already_liked_items=True)
    order = np.lexsort((found, -scores), axis=1)
    found, scores = np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)
    if asked < len(columns):
        is_open = (scores[:, n - 1] == scores[:, -1]) & (scores[:, -1] > 0)
        if is_open.any():
            again = _best(library, rows[is_open], barred[is_open], columns, n, 2 * asked)
            found[is_open, :n], scores[is_open, :n] = again
    return found[:, :n], scores[:, :n]


def _known(ids: pl.Series, known: pl.Series) -> NDArray[np.int32]:
    """Ascending places in `known` of those ids that are in it."""
    found = positions(known, "id", "position").filter(pl.col("id").is_in(ids.implode()))
    return found.get_column("position").to_numpy()


def _write_factors(library: AlternatingLeastSquares, path: Path) -> None:
    with path.open("wb") as stream:
        library.save(stream)
