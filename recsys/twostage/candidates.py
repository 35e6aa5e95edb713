"""The first stage: for each customer the few products that are worth a closer look.

Sources: what they bought; products of their taste that sell now; products that are bought in one order with theirs;
products with names like theirs; and the most bought of the last days, the same for everybody. Everything that a later
stage asks about pairs is read from here.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.model_settings import Recommend
from recsys.twostage.history import History
from recsys.twostage.neighbours import alike, dense_highest, highest, together
from recsys.twostage.purchases import Codes, Floats, Purchases, is_among
from recsys.twostage.tastes import Tastes, learn

Result = TypeVar("Result")

BATCH, BATCH_NUMBERS = 1_000, 7_500_000
"""Customers at a time, and numbers of customers by products. Arrays below 32 MiB stay with the process when they are
freed; larger ones are handed out anew by the system, page by page, which costs more than what is done with them."""
POPULAR_DAYS = 7


@dataclass(frozen=True)
class Counts:
    """How many products each source may name to one customer."""

    bought: int = 200
    taste: int = 60
    together: int = 20
    alike: int = 20
    popular: int = 10


@dataclass(frozen=True)
class Candidates:
    """Pairs of some customers, ordered by customer, then product, each once, with the scores of the sources."""

    customer: Codes
    product: Codes
    entry: NDArray[np.int64]
    """Place in `Purchases.bought`, or -1 when it was never bought."""
    trend: Floats
    late_trend: Floats
    late_first: Floats
    like: Floats
    together: Floats
    alike: Floats
    alike_all: Floats


class Sources:
    """What the candidates of any customer of a history are drawn from. Made once, asked in batches."""

    def __init__(self, history: History, settings: Recommend, counts: Counts = Counts()) -> None:
        self.history, self.counts, self.settings = history, counts, settings
        self.purchases = Purchases(history)
        self.tastes: Tastes = learn(history, self.purchases, settings)
        self._together = together(self.purchases)
        self._alike = alike(history, self.purchases.is_eligible)
        bought = self.purchases.bought
        recent = self.purchases.matrix(bought.recent[60])
        sums = np.asarray(recent.sum(axis=1), dtype=np.float64).ravel()
        self._share = (diags(1 / np.where(sums > 0, sums, 1)) @ recent).tocsr().astype(np.float32)
        self._sum = self.purchases.matrix(bought.recent[180])
        self._columns = np.flatnonzero(self.purchases.is_eligible).astype(np.int32)
        self._places = np.full(len(self.purchases.products), -1, dtype=np.int32)
        self._places[self._columns] = np.arange(len(self._columns), dtype=np.int32)
        self._trends = np.ascontiguousarray(self.tastes.trends[self._columns].T)
        buyers = np.bincount(bought.product[bought.last <= POPULAR_DAYS], minlength=len(self.purchases.products))
        order = np.lexsort((self._columns, -buyers[self._columns]))[: counts.popular]
        self._popular = self._columns[order][buyers[self._columns[order]] > 0]
        self._keys = bought.customer.astype(np.int64) << 32 | bought.product

    def each(self, customers: Codes, excluded: csr_matrix, work: Callable[[Candidates], Result]) -> Iterator[Result]:
        """What `work` makes of the candidates of these customers (ascending), in batches of ascending customers.

        Only eligible products, and none of `excluded` (customers by products, in the order of `Purchases`; above 0 bars
        the pair). A customer of whom nothing is known has no candidate. Batches are worked on side by side, in threads.
        """
        size = max(1, min(BATCH, BATCH_NUMBERS // max(1, self.purchases.shape[1])))
        batches = [customers[start : start + size] for start in range(0, len(customers), size)]
        threads = self.settings.threads or os.cpu_count() or 1
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
            yield from pool.map(lambda batch: work(self._of(batch, excluded[batch])), batches)

    def _of(self, customers: Codes, barred: csr_matrix) -> Candidates:
        products = self.purchases.shape[1]
        share = self._share[customers]
        near, similar, of_all = share @ self._together, share @ self._alike, self._sum[customers] @ self._alike
        keys = np.concatenate(
            [
                self._bought(customers),
                self._of_taste(customers, barred),
                _best_of(near, self.counts.together, share),
                _best_of(similar, self.counts.alike, share),
                (np.arange(len(customers), dtype=np.int64)[:, None] * products + self._popular).ravel(),
            ]
        )
        keys.sort()
        keys = keys[np.r_[True, keys[1:] != keys[:-1]][: len(keys)]]
        keys = keys[~is_among(keys, np.sort(_keys(barred)))]
        row, column = (keys // products).astype(np.int32), (keys % products).astype(np.int32)
        tastes, mine = self.tastes, self.tastes.customers[customers]
        return Candidates(
            customers[row],
            column,
            self._entries(customers[row], column),
            *_inner(mine, (tastes.trends, tastes.late_trends, tastes.late_first, tastes.likes), row, column),
            *_read((near, similar, of_all), near.shape, keys),
        )

    def _entries(self, customers: Codes, products: Codes) -> NDArray[np.int64]:
        keys = customers.astype(np.int64) << 32 | products
        return np.where(is_among(keys, self._keys), np.searchsorted(self._keys, keys), -1)

    def _bought(self, customers: Codes) -> NDArray[np.int64]:
        """Keys (row x products + product) of the eligible products that each customer bought most, of late."""
        bought = self.purchases.bought
        lengths = np.diff(bought.starts)[customers]
        row = np.repeat(np.arange(len(customers), dtype=np.int32), lengths)
        begins = np.repeat(bought.starts[customers] - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
        entry = begins + np.arange(len(row))
        kept = self.purchases.is_eligible[bought.product[entry]]
        row, entry = row[kept], entry[kept]
        found, column, _ = highest(row, bought.product[entry], bought.recent[90][entry], self.counts.bought)
        keys: NDArray[np.int64] = found * self.purchases.shape[1] + column
        return keys

    def _of_taste(self, customers: Codes, barred: csr_matrix) -> NDArray[np.int64]:
        """Keys of what sells now to customers of this taste, and they never bought."""
        scores = self.tastes.customers[customers] @ self._trends
        bought = self.purchases.matrix(np.ones_like(self.purchases.bought.orders))[customers]
        for seen in (bought, barred):
            place = self._places[seen.indices]
            scores[_rows(seen)[place >= 0], place[place >= 0]] = 0
        row, place, _ = dense_highest(scores, self.counts.taste)
        keys: NDArray[np.int64] = row * self.purchases.shape[1] + self._columns[place]
        return keys


def _best_of(scores: csr_matrix, count: int, owned: csr_matrix) -> NDArray[np.int64]:
    """Keys of the highest scores of each row, without what the customer has."""
    rows = _rows(scores)
    has = np.zeros(scores.shape, dtype=bool)
    has[_rows(owned), owned.indices] = True
    is_new = ~has[rows, scores.indices]
    row, column, _ = highest(rows[is_new], scores.indices[is_new], scores.data[is_new], count)
    keys: NDArray[np.int64] = row * scores.shape[1] + column
    return keys


def _read(matrices: Iterable[csr_matrix], shape: tuple[int, int], keys: NDArray[np.int64]) -> Iterator[Floats]:
    """Of each matrix the numbers at these keys."""
    dense = np.zeros(shape[0] * shape[1], dtype=np.float32)
    for matrix in matrices:
        places = _keys(matrix)
        dense[places] = matrix.data
        yield dense[keys]
        dense[places] = 0


def _rows(matrix: csr_matrix) -> NDArray[np.int64]:
    """The row of each entry."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))


def _keys(matrix: csr_matrix) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = _rows(matrix) * matrix.shape[1] + matrix.indices
    return keys


def _inner(customers: Floats, products: Iterable[Floats], row: Codes, column: Codes) -> Iterator[Floats]:
    """Per kind of vector the inner products at these pairs."""
    mine = customers[row]
    for vectors in products:
        yield np.einsum("ij,ij->i", mine, vectors[column])
