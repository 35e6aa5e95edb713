"""Vectors for products that nobody has touched yet, from what is said about them: their categories and tags.

Ridge regression from topics to the vectors of the products that were learnt from: W = (T'T + l I)^-1 T'Y, with T which
product has which topic; a newcomer's vector is the sum of its topics' rows of W. Topics of few products say little, and
what nobody else has says nothing.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.models.matrix import positions

RIDGE = 10.0
"""In products: a topic of so many is believed about half."""
MOST_TOPICS = 4_000
"""The topics of most products; the equations have a row for each."""


def vectors_of(
    newcomers: pl.Series, topics: pl.DataFrame, learnt: pl.Series, vectors: NDArray[np.float32]
) -> tuple[pl.Series, NDArray[np.float32]]:
    """Those newcomers about whom anything is known, ordered, and a row of numbers for each.

    `topics` (product_id, topic; each pair once) of newcomers and of `learnt`, the products of the rows of `vectors`.
    """
    strangers = newcomers.unique().sort()
    strangers = strangers.filter(~strangers.is_in(learnt.implode()))
    known = topics.filter(pl.col("product_id").is_in(learnt.implode())).group_by("topic").len()
    known = known.sort("len", "topic", descending=[True, False]).head(MOST_TOPICS)
    marks = topics.join(known.select("topic").with_row_index("column"), on="topic")
    told = strangers.filter(strangers.is_in(marks.get_column("product_id").implode()))
    if told.is_empty():
        return told, np.zeros((0, vectors.shape[1]), dtype=np.float32)
    before, after = _indicators(marks, learnt, known.height), _indicators(marks, told, known.height)
    equations = (before.T @ before).toarray() + RIDGE * np.eye(known.height)
    weights = np.linalg.solve(equations, before.T @ vectors.astype(np.float64))
    return told, np.ascontiguousarray(after @ weights, dtype=np.float32)


def _indicators(marks: pl.DataFrame, products: pl.Series, topics: int) -> csr_matrix:
    entries = marks.join(positions(products, "product_id", "row"), on="product_id").sort("row", "column")
    places = (entries.get_column("row").to_numpy(), entries.get_column("column").to_numpy())
    return csr_matrix((np.ones(entries.height), places), shape=(len(products), topics))
