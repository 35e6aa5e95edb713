"""Tastes: ALS vectors of customers and products, and what customers of each taste bought of late.

ALS says what a customer likes out of all that was ever sold. What is bought just now (a season, a new product) is read
by ridge regression of the last days' purchases on the customers' ALS vectors, which gives each product a second vector:
W = (F'F + l I)^-1 F'Y, with F the vectors of those who bought in these days, and Y who bought what.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.config import Recommend
from recsys.models.als import AlsModel
from recsys.twostage.history import History
from recsys.twostage.purchases import Floats, Purchases

RECENT_DAYS = 28
RIDGE = 1.0
"""Times the mean square of a vector's numbers."""
COMMON = 8.0
"""The number that all customers share, in mean sizes of theirs: what everybody buys."""


@dataclass(frozen=True)
class Tastes:
    """Vectors in the order of `Purchases`. Zeros where nothing is known."""

    customers: Floats
    """One row per customer; the last number is the same for all who have any."""
    likes: Floats
    """One row per product: inner products with `customers` are ALS scores."""
    trends: Floats
    """One row per product: inner products with `customers` say how likely it is among the next purchases."""


def learn(history: History, purchases: Purchases, settings: Recommend) -> Tastes:
    """Tastes at the end of the history. Raises ModelError as `AlsModel.fit` does."""
    model = AlsModel.fit(history.weighted(settings), settings)
    rows, columns = len(purchases.customers), len(purchases.products)
    vectors = np.zeros((rows, settings.factors + 1), dtype=np.float32)
    likes = np.zeros((columns, settings.factors + 1), dtype=np.float32)
    customers, products, of_customers, of_products = model.vectors
    if len(customers):
        known = np.searchsorted(purchases.customers.to_numpy(), customers.to_numpy())
        vectors[known, :-1] = of_customers
        vectors[known, -1] = np.abs(of_customers).mean() * COMMON
        likes[np.searchsorted(purchases.products.to_numpy(), products.to_numpy()), :-1] = of_products
    return Tastes(vectors, likes, _trends(purchases, vectors))


def _trends(purchases: Purchases, vectors: Floats) -> Floats:
    bought = purchases.bought
    is_recent = bought.last <= RECENT_DAYS
    pairs = (np.ones(int(is_recent.sum()), np.float32), (bought.customer[is_recent], bought.product[is_recent]))
    recent = csr_matrix(pairs, shape=purchases.shape)
    buyers = np.flatnonzero(np.diff(recent.indptr))
    known = vectors[buyers].astype(np.float64)
    size = vectors.shape[1]
    with threadpool_limits(1, "blas"):
        gram = known.T @ known
        ridge = max(float(np.trace(gram)) / (size - 1) * RIDGE, 1e-12)
        bought_by = (recent[buyers].T @ known).T
        return np.ascontiguousarray(np.linalg.solve(gram + ridge * np.eye(size), bought_by).T, dtype=np.float32)
