"""Which of a customer's own interactions a score comes from: the exact decomposition of implicit-feedback ALS.

Hu, Koren and Volinsky (2008, section 5). With product vectors Y and confidences c of the customer's own products,

    A = Y'Y + regularization I + sum over own j of (c_j - 1) y_j y_j'
    score(i) = sum over own j of c_j y_i' A^-1 y_j

so that every own product j contributes c_j y_i' A^-1 y_j, and the contributions add up to the score. In coordinates
Z = Y B with B B' = (Y'Y + regularization I)^-1 the matrix A becomes I + Z_u' D Z_u with D = diag(c - 1), and Woodbury's
identity gives the same inner products as (I + Z_u Z_u' D)^-1 Z_u z_i: as many unknowns as there are own products, and D
is never inverted, so that a confidence may be 1, or less.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

BATCH_NUMBERS = 2_000_000
"""How many numbers the largest array of a batch may hold, and with it the memory that is needed."""


@dataclass(frozen=True)
class Histories:
    """Own products per customer in compressed rows, as positions, with confidences: alpha x weight of the model."""

    row_starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    confidences: Floats


def confidences(weights: Floats, alpha: float) -> Floats:
    """Confidence alpha x weight, rounded as the library that learns from them rounds it."""
    rounded: Floats = (np.float32(alpha) * weights.astype(np.float32)).astype(np.float64)
    return rounded


@dataclass(frozen=True)
class Batch:
    """Contributions to the scores of some customers who have equally many own products, and equally many rows asked.

    `pairs` (customers, rows asked): positions of the rows among those asked. `own` (customers, own products): product
    positions, ascending; `entries`, of the same shape: where they are in the histories. `contributions`: customers,
    rows asked, own products.
    """

    pairs: Places
    own: Places
    entries: Places
    contributions: Floats


@dataclass(frozen=True)
class Whitened:
    """Product vectors in coordinates in which (Y'Y + regularization I)^-1 is the identity: `z` = Y `basis`.

    Directions that no product has do not count, so that fewer products than factors and no regularization are fine.
    """

    z: Floats
    basis: Floats

    @classmethod
    def of(
        cls, products: NDArray[np.float32], regularization: float, is_learnt: NDArray[np.bool_] | None = None
    ) -> "Whitened":
        """From one row per product; Y is those with `is_learnt`, all unless told."""
        vectors = products.astype(np.float64)
        learnt = vectors if is_learnt is None else vectors[is_learnt]
        values, directions = np.linalg.eigh(learnt.T @ learnt + regularization * np.eye(vectors.shape[1]))
        is_used = values > values.max(initial=0.0) * 1e-12
        basis = directions[:, is_used] / np.sqrt(values[is_used])
        return cls(vectors @ basis, basis)


def customer_vectors(space: Whitened, histories: Histories) -> NDArray[np.float32]:
    """One row per customer: A^-1 Y_u' c, whose products with product vectors are scores; 0 without history."""
    lengths = np.diff(histories.row_starts)
    vectors = np.zeros((len(lengths), space.basis.shape[0]), dtype=np.float32)
    for customers, entries in _alike(lengths, np.zeros_like(lengths), np.arange(len(lengths)), space.z.shape[1]):
        rows = histories.row_starts[customers][:, None] + np.arange(entries)
        mine, confidences = space.z[histories.columns[rows]], histories.confidences[rows]
        if entries < space.z.shape[1]:
            system = _kernel(mine) * (confidences - 1)[:, :, None] + np.eye(entries)
            found = np.linalg.solve(system, confidences[:, :, None])[:, :, 0][:, None, :] @ mine
        else:
            system = _outer(mine, confidences - 1)
            found = np.linalg.solve(system, (confidences[:, None, :] @ mine).transpose(0, 2, 1)).transpose(0, 2, 1)
        vectors[customers] = found[:, 0, :] @ space.basis.T
    return vectors


def contributions(space: Whitened, histories: Histories, customers: Places, products: Places) -> Iterator[Batch]:
    """What each own product contributes to each score asked for: pairs of customer and product positions, in any order.

    Customers without own products are left out. Every pair is in one batch; batches go by the number of own products
    and of rows asked, so what comes back for a customer does not depend on who else is asked about.
    """
    order = np.lexsort((products, customers))
    asking, first, asked = np.unique(customers[order], return_index=True, return_counts=True)
    starts = histories.row_starts[asking]
    lengths = histories.row_starts[asking + 1] - starts
    for batch, length in _alike(lengths, asked, asking, space.z.shape[1]):
        pairs = order[first[batch][:, None] + np.arange(asked[batch[0]])]
        entries = starts[batch][:, None] + np.arange(length)
        own = histories.columns[entries].astype(np.int64)
        found = _of_batch(space.z[own], histories.confidences[entries], space.z[products[pairs]])
        yield Batch(pairs, own, entries, found)


def _alike(lengths: Places, asked: Places, ids: Places, factors: int) -> Iterator[tuple[Places, int]]:
    """Positions of customers with equally many own products (at least 1) and rows asked, and how many own products."""
    order = np.lexsort((ids, asked, lengths))
    order = order[lengths[order] > 0]
    if not len(order):
        return
    changes = (np.diff(lengths[order]) != 0) | (np.diff(asked[order]) != 0)
    for group in np.split(order, np.flatnonzero(changes) + 1):
        length = int(lengths[group[0]])
        widest = max(length, int(asked[group[0]]), min(length, factors)) * max(length, factors)
        size = max(1, BATCH_NUMBERS // widest)
        for start in range(0, len(group), size):
            yield group[start : start + size], length


def _of_batch(mine: Floats, confidences: Floats, theirs: Floats) -> Floats:
    """Contributions (customers, rows asked, own products) from vectors of own products and of those asked about."""
    if mine.shape[1] < mine.shape[2]:
        system = _kernel(mine) * (confidences - 1)[:, None, :] + np.eye(mine.shape[1])
        inner = np.linalg.solve(system, mine @ _turned(theirs))
    else:
        inner = mine @ np.linalg.solve(_outer(mine, confidences - 1), _turned(theirs))
    found: Floats = inner.transpose(0, 2, 1) * confidences[:, None, :]
    return found


def _kernel(mine: Floats) -> Floats:
    """Inner products of own products: Z_u Z_u'."""
    found: Floats = mine @ _turned(mine)
    return found


def _outer(mine: Floats, surplus: Floats) -> Floats:
    """I + Z_u' D Z_u."""
    found: Floats = _turned(mine) @ (mine * surplus[:, :, None]) + np.eye(mine.shape[2])
    return found


def _turned(vectors: Floats) -> Floats:
    return np.ascontiguousarray(vectors.transpose(0, 2, 1))


def strongest(
    batch: Batch, may_be_named: NDArray[np.bool_], top: int, outweighs: NDArray[np.bool_]
) -> tuple[Places, Places, Places, Floats]:
    """Per row asked the own products that contribute most: position of the row, place from 1, product, and its share.

    The share is of all positive contributions to the row, whether or not their products may be named, so shares of a
    row add up to at most 1. Only positive contributions of products that may be named (in the shape of `contributions`)
    are given, at most `top`; of equal ones the smaller product position goes first. A row whose contributions add up to
    0 or less has none: all in all the model speaks against it. Nor has one where something that `outweighs` contributes
    more than all that may be named.
    """
    positive = np.maximum(batch.contributions, 0.0)
    total = positive.sum(axis=2, keepdims=True)
    shares = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    speaks_for = batch.contributions.sum(axis=2, keepdims=True) > 0
    nameable = np.where(may_be_named & speaks_for, shares, 0.0)
    hidden = np.where(outweighs, shares, 0.0).max(axis=2, keepdims=True)
    nameable *= nameable.max(axis=2, keepdims=True) >= hidden
    order = np.argsort(-nameable, axis=2, kind="stable")[:, :, :top]
    best = np.take_along_axis(nameable, order, axis=2)
    customer, row, place = np.nonzero(best > 0)
    return (
        batch.pairs[customer, row],
        place + 1,
        batch.own[customer, order[customer, row, place]],
        best[customer, row, place],
    )
