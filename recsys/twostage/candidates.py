"""The first stage: for each customer the few products that are worth a closer look.

Sources: what they bought; products of their taste that sell now; products that are bought in one order with theirs; and
products with names like theirs. Everything a later stage asks about pairs is read from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from recsys.config import Recommend
from recsys.models.als import top
from recsys.twostage.history import History
from recsys.twostage.neighbours import alike, highest, together
from recsys.twostage.purchases import Codes, Floats, Purchases
from recsys.twostage.tastes import Tastes, learn

BATCH = 1_000
"""Customers at a time, and with them the memory that is needed."""


@dataclass(frozen=True)
class Counts:
    """How many products each source may name to one customer."""

    bought: int = 200
    taste: int = 40
    together: int = 15
    alike: int = 15


@dataclass(frozen=True)
class Candidates:
    """Pairs of some customers, ordered by customer, then product, each once, with the scores of the sources."""

    customer: Codes
    product: Codes
    entry: NDArray[np.int64]
    """Place in `Purchases.bought`, or -1 when it was never bought."""
    trend: Floats
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

    def of(self, customers: Codes, excluded: csr_matrix) -> Iterator[Candidates]:
        """Candidates of these customers (ascending), in batches of ascending customers; a batch may have no pair.

        Only eligible products, and none of `excluded` (customers by products, in the order of `Purchases`; above 0 bars
        the pair). A customer of whom nothing is known has none.
        """
        for start in range(0, len(customers), BATCH):
            yield self._batch(customers[start : start + BATCH], excluded)

    def _batch(self, customers: Codes, excluded: csr_matrix) -> Candidates:
        products = self.purchases.shape[1]
        barred = excluded[customers]
        share = self._share[customers]
        near, similar = share @ self._together, share @ self._alike
        row, column, entry = self._bought(customers)
        parts = [
            row.astype(np.int64) * products + column,
            self._of_taste(customers, barred),
            _best_of(near, self.counts.together, share),
            _best_of(similar, self.counts.alike, share),
        ]
        keys = np.unique(np.concatenate(parts))
        keys = keys[~np.isin(keys, _keys(barred))]
        pair_row, pair_column = (keys // products).astype(np.int32), (keys % products).astype(np.int32)
        known = np.full(len(keys), -1, dtype=np.int64)
        place = np.searchsorted(keys, parts[0])
        is_kept = place < len(keys)
        is_kept[is_kept] = keys[place[is_kept]] == parts[0][is_kept]
        known[place[is_kept]] = entry[is_kept]
        mine = self.tastes.customers[customers]
        of_all = self._sum[customers] @ self._alike
        return Candidates(
            customers[pair_row],
            pair_column,
            known,
            _inner(mine, self.tastes.trends, pair_row, pair_column),
            _inner(mine, self.tastes.likes, pair_row, pair_column),
            *(scores.toarray()[pair_row, pair_column] for scores in (near, similar, of_all)),
        )

    def _bought(self, customers: Codes) -> tuple[Codes, Codes, NDArray[np.int64]]:
        """Row, product and place in `bought` of the eligible products that each customer bought most, of late."""
        bought = self.purchases.bought
        lengths = np.diff(bought.starts)[customers]
        row = np.repeat(np.arange(len(customers), dtype=np.int32), lengths)
        begins = np.repeat(bought.starts[customers] - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
        entry = begins + np.arange(len(row))
        is_eligible = self.purchases.is_eligible[bought.product[entry]]
        row, entry = row[is_eligible], entry[is_eligible]
        best = highest(row, bought.product[entry], bought.recent[90][entry], self.counts.bought)
        return row[best], bought.product[entry[best]], entry[best]

    def _of_taste(self, customers: Codes, barred: csr_matrix) -> NDArray[np.int64]:
        """Keys (row x products + product) of what sells now to customers of this taste, and they never bought."""
        seen = self.purchases.matrix(np.ones_like(self.purchases.bought.orders))[customers] + barred
        count = min(self.counts.taste, len(self._columns))
        if not count:
            return np.zeros(0, dtype=np.int64)
        found, scores = top(
            self.tastes.customers[customers],
            self.tastes.trends[self._columns],
            seen[:, self._columns].tocsr(),
            count,
            self.settings.threads,
        )
        row = np.broadcast_to(np.arange(len(customers), dtype=np.int64)[:, None], found.shape)
        is_meant = scores > 0
        return row[is_meant] * self.purchases.shape[1] + self._columns[found[is_meant]]


def _best_of(scores: csr_matrix, count: int, owned: csr_matrix) -> NDArray[np.int64]:
    """Keys of the highest scores of each row, without what the customer has."""
    found = scores.tocoo()
    keys = found.row.astype(np.int64) * scores.shape[1] + found.col
    is_new = ~np.isin(keys, _keys(owned))
    row, column, value = found.row[is_new], found.col[is_new], found.data[is_new]
    best: NDArray[np.int64] = keys[is_new][highest(row, column, value, count)]
    return best


def _keys(matrix: csr_matrix) -> NDArray[np.int64]:
    found = matrix.tocoo()
    keys: NDArray[np.int64] = found.row.astype(np.int64) * matrix.shape[1] + found.col
    return keys


def _inner(customers: Floats, products: Floats, row: Codes, column: Codes) -> Floats:
    products_of: Floats = np.einsum("ij,ij->i", customers[row], products[column])
    return products_of
