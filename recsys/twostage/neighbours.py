"""Which products belong together: in the same orders, and by what their names and topics say."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from recsys.models.matrix import positions
from recsys.twostage.history import History
from recsys.twostage.purchases import Floats, Purchases, place_in_run

TOGETHER, ALIKE = 50, 40
"""Neighbours kept per product."""
BASKET = 200
"""Products of one order that count; of larger ones every pair would cost more than it says."""
BLOCK = 500
WORD = r"[\p{L}\p{N}]{3,}"
COMMON_WORD, FEW = 0.2, 20
"""A word of more products than this share, and this many, says nothing."""


def together(purchases: Purchases) -> csr_matrix:
    """Products by products: cosine of the orders they are in (Sarwar et al. 2001), the nearest of each row only.

    0 on the diagonal, and in columns of products that are not eligible.
    """
    lines = purchases.lines
    kept = np.lexsort((lines.product, lines.order))
    kept = kept[place_in_run(lines.order[kept]) < BASKET]
    count = int(lines.order.max()) + 1 if len(lines.order) else 0
    values = np.ones(len(kept), dtype=np.float32)
    orders = csr_matrix((values, (lines.order[kept], lines.product[kept])), shape=(count, purchases.shape[1]))
    return _nearest(orders.T.tocsr(), TOGETHER, purchases.is_eligible)


def alike(history: History, is_eligible: NDArray[np.bool_]) -> csr_matrix:
    """Products by products: cosine of the rare words of name, category, brand and topics, the nearest of each row.

    A word counts ln(products / products with it). 0 on the diagonal, and in columns that are not eligible.
    """
    products = history.products
    ids = products.get_column("product_id")
    text = pl.concat_str("name", "brand", separator=" ", ignore_nulls=True).str.to_lowercase().str.extract_all(WORD)
    words = products.select("product_id", word=text).explode("word")
    steps = products.select("product_id", word="category").drop_nulls()
    topics = history.topics.join(products.select("product_id"), on="product_id", how="semi")
    marks = pl.concat([steps, topics.rename({"topic": "word"})]).with_columns(pl.format("topic {}", "word"))
    said = pl.concat([words, marks]).drop_nulls().unique()
    of_word = said.group_by("word").len().filter(pl.col("len").is_between(2, max(FEW, COMMON_WORD * len(ids))))
    of_word = of_word.sort("word").with_row_index("column")
    entries = said.join(of_word, on="word").join(positions(ids, "product_id", "row"), on="product_id")
    entries = entries.sort("row", "column")
    idf = np.log(len(ids) / entries.get_column("len").to_numpy()).astype(np.float32)
    at = (entries.get_column("row").to_numpy(), entries.get_column("column").to_numpy())
    return _nearest(csr_matrix((idf, at), shape=(len(ids), of_word.height)), ALIKE, is_eligible)


def _nearest(vectors: csr_matrix, count: int, is_eligible: NDArray[np.bool_]) -> csr_matrix:
    """Cosine between rows, the highest `count` of each row; of equal ones the smaller column."""
    size = vectors.shape[0]
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float64).ravel())
    unit = (diags(1 / np.where(lengths > 0, lengths, 1)) @ vectors).tocsr().astype(np.float32)
    others = (diags(is_eligible.astype(np.float32)) @ unit).T.tocsr()
    rows, columns, values = [], [], []
    for start in range(0, size, BLOCK):
        near = (unit[start : start + BLOCK] @ others).toarray()
        places = np.arange(len(near))
        near[places, places + start] = 0
        row, column, value = dense_highest(near, count)
        rows.append(row + start)
        columns.append(column)
        values.append(value)
    if not rows:
        return csr_matrix((size, size), dtype=np.float32)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(size, size))


def dense_highest(values: Floats, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """`highest` of all numbers above 0 of a dense matrix.

    The columns are dealt out to twice as many groups as are wanted. `count` of the groups hold a number that reaches
    the `count`-th highest of their best ones, so nothing below that is looked at again. To look for the `count`-th of
    all numbers takes ten times as long, and longer still where most are 0.
    """
    least, groups = np.finfo(np.float32).tiny, 2 * count
    deals = values.shape[1] // max(1, groups)
    floor = np.full((len(values), 1), least, dtype=np.float32)
    if deals > 1:
        best = values[:, : deals * groups].reshape(len(values), deals, groups).max(axis=1)
        floor = np.maximum(floor, np.partition(best, groups - count, axis=1)[:, groups - count, None])
    row, column = np.divmod(np.flatnonzero(values >= floor), max(1, values.shape[1]))
    return highest(row, column, values[row, column], count)


def highest(
    rows: NDArray[np.integer], columns: NDArray[np.integer], values: Floats, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """The `count` highest values of each row, all above 0; of equal ones those of smaller columns. In this order.

    Row, value and column are sorted as one whole number, which is several times as fast as sorting by three: a
    positive number's bits grow with it.
    """
    if not len(rows):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    room = np.uint64(int(columns.max()).bit_length())
    bits = np.uint64(0xFFFFFFFF) - values.astype(np.float32, copy=False).view(np.uint32)
    keys = np.sort((rows.astype(np.uint64) << np.uint64(32) | bits) << room | columns.astype(np.uint64))
    row = (keys >> (room + np.uint64(32))).astype(np.int64)
    keys = keys[place_in_run(row) < count]
    found = np.uint64(0xFFFFFFFF) - (keys >> room & np.uint64(0xFFFFFFFF))
    column = keys & ((np.uint64(1) << room) - np.uint64(1))
    row = (keys >> (room + np.uint64(32))).astype(np.int64)
    return row, column.astype(np.int64), found.astype(np.uint32).view(np.float32)
