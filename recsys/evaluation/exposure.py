"""What accuracy does not show: how much of the assortment lists name, how evenly, how unexpected, how mixed."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.models.matrix import positions

BATCH = 20_000
"""Customers at a time, and with them the memory that is needed."""


def coverage(lists: pl.DataFrame, eligible: pl.Series) -> float | None:
    """The share of the eligible products that appear in any list, from 0 (no lists) to 1.

    Catalogue coverage (Ge, Delgado-Battenfeld, Jannach 2010, Beyond accuracy: evaluating recommender systems by
    coverage and serendipity). `lists` has product_id, `eligible` distinct product_ids; other products do not
    count. None when no product is eligible.
    """
    exposure = _exposure(lists, eligible)
    return float((exposure > 0).mean()) if len(exposure) else None


def gini(lists: pl.DataFrame, eligible: pl.Series) -> float | None:
    """How unevenly the rows of the lists are spread over the eligible products, those that no list names included.

    With the number of rows x(1) <= ... <= x(n) of each of n products: sum of (2 i - n - 1) x(i), divided by n times the
    sum of x(i) (Gini 1912, as in Fleder, Hosanagar 2009, Blockbuster culture's next rise or fall). 0 when every
    product has equally many rows; 1 - 1 / n when one has them all. `lists` has product_id, `eligible` distinct
    product_ids; other products do not count. None when no eligible product is in any list.
    """
    exposure = np.sort(_exposure(lists, eligible))
    n, rows = len(exposure), int(exposure.sum())
    return float((2 * np.arange(1, n + 1) - n - 1) @ exposure) / (n * rows) if rows else None


def novelty(lists: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    """customer_id, novelty: one row per customer with a list, ordered; the mean surprise of its products, in bits.

    A product's surprise is -log2 of the share of customers who interacted with it in training, among all who
    interacted with anything (Zhou et al. 2010, Solving the apparent diversity-accuracy dilemma): 0 if everybody did,
    1 if half did. A product that nobody touched counts as touched by one: nothing is more surprising than log2 of the
    number of customers. `lists` and `interactions` have customer_id and product_id; repeated interactions count
    once. Null when there are no interactions; no lists, no rows.
    """
    touched = interactions.select("customer_id", "product_id").unique()
    customers = touched.n_unique("customer_id")
    known = touched.group_by("product_id").agg(touched_by=pl.len())
    inverse_share = pl.lit(customers or None, pl.Float64) / pl.col("touched_by").fill_null(1)
    return (
        lists.select("customer_id", "product_id")
        .join(known, on="product_id", how="left")
        .with_columns(novelty=inverse_share.log(2))
        .sort("customer_id", "product_id")
        .group_by("customer_id", maintain_order=True)
        .agg(pl.col("novelty").mean())
    )


def diversity(lists: pl.DataFrame, products: pl.Series, vectors: NDArray[np.floating]) -> pl.DataFrame:
    """customer_id, diversity: one row per customer with a list, ordered; 1 - the mean cosine of every two products.

    Diversity within the list (Ziegler et al. 2005, Improving recommendation lists through topic diversification). 0
    when all vectors point the same way, 1 when they have nothing in common, up to 2 when two are opposite. Row i of
    `vectors` belongs to product i of `products`; see `topic_vectors`. Products without a vector, or with one of zeros,
    are left out; null when fewer than two are left. `lists` has customer_id and product_id, distinct pairs. No lists,
    no rows. The squared length of a sum of n unit vectors is n plus every cosine twice: no pair is looked at.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    usable = np.flatnonzero(lengths)
    directions = vectors[usable] / lengths[usable, None]
    customers = lists.get_column("customer_id").unique().sort()
    entries = (
        lists.join(positions(customers, "customer_id", "row"), on="customer_id")
        .join(positions(products.gather(usable), "product_id", "column"), on="product_id")
        .sort("row", "column")
    )
    shape = (len(customers), len(usable))
    rows, columns = entries.get_column("row").to_numpy(), entries.get_column("column").to_numpy()
    named = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    batches = [named[start : start + BATCH] @ directions for start in range(0, len(customers), BATCH)]
    squared = np.concatenate([np.zeros(0), *(np.einsum("ij,ij->i", sums, sums) for sums in batches)])
    counts = np.bincount(rows, minlength=len(customers))
    pairs = counts * (counts - 1)
    cosine = np.divide(squared - counts, pairs, out=np.full(len(customers), np.nan), where=pairs > 0)
    return pl.DataFrame({"customer_id": customers, "diversity": 1 - cosine}).with_columns(
        pl.col("diversity").fill_nan(None)
    )


def topic_vectors(topics: pl.DataFrame) -> tuple[pl.Series, NDArray[np.float32]]:
    """Products in order, and a row for each: 1 for every one of its topics, 0 elsewhere. From product_id and topic.

    Their cosine is the number of topics two products share, divided by the geometric mean of how many each has.
    """
    products, names = (topics.get_column(name).unique().sort() for name in ("product_id", "topic"))
    entries = topics.join(positions(products, "product_id", "row"), on="product_id").join(
        positions(names, "topic", "column"), on="topic"
    )
    vectors = np.zeros((len(products), len(names)), dtype=np.float32)
    vectors[entries.get_column("row").to_numpy(), entries.get_column("column").to_numpy()] = 1
    return products, vectors


def _exposure(lists: pl.DataFrame, eligible: pl.Series) -> NDArray[np.int64]:
    """How many rows of the lists name each eligible product."""
    counts = lists.group_by("product_id").agg(rows=pl.len())
    exposed = eligible.to_frame("product_id").join(counts, on="product_id", how="left")
    return exposed.get_column("rows").fill_null(0).to_numpy().astype(np.int64)
