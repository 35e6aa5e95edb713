"""Tastes: ALS vectors of customers and products, and what customers of each taste bought of late.

ALS says what a customer likes out of all that was ever sold. What is bought just now (a season, a new product) is read
by ridge regression of the last days' purchases on the customers' ALS vectors, which gives each product a second vector:
W = (F'F + l I)^-1 F'Y, with F the vectors of those who bought in these days, and Y who bought what.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.twostage.history import History
from recsys.twostage.purchases import Floats, Purchases

RECENT_DAYS, LATE_DAYS = 28, 14
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
    late_trends: Floats
    """The same of the last half of these days, and of first purchases in it."""
    late_first: Floats


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
    bought = purchases.bought
    return Tastes(
        vectors,
        likes,
        _trends(purchases, vectors, bought.last <= RECENT_DAYS),
        _trends(purchases, vectors, bought.last <= LATE_DAYS),
        _trends(purchases, vectors, bought.first <= LATE_DAYS),
    )


def _trends(purchases: Purchases, vectors: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Vectors of products by the chosen entries of `purchases.bought`; zeros when there is none."""
    bought = purchases.bought
    pairs = (np.ones(int(chosen.sum()), np.float32), (bought.customer[chosen], bought.product[chosen]))
    recent = csr_matrix(pairs, shape=purchases.shape)
    buyers = np.flatnonzero(np.diff(recent.indptr))
    known = vectors[buyers].astype(np.float64)
    size = vectors.shape[1]
    with threadpool_limits(1, "blas"):
        gram = known.T @ known
        ridge = max(float(np.trace(gram)) / (size - 1) * RIDGE, 1e-12)
        bought_by = (recent[buyers].T @ known).T
        return np.ascontiguousarray(np.linalg.solve(gram + ridge * np.eye(size), bought_by).T, dtype=np.float32)
