"""Which products belong together: in the same orders, and by what their names and topics say."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from recsys.models.matrix import positions
from recsys.twostage.history import History
from recsys.twostage.purchases import Purchases, place_in_run

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
        near = (unit[start : start + BLOCK] @ others).tocoo()
        row, column, value = near.row + start, near.col, near.data
        is_other = (row != column) & (value > 0)
        row, column, value = row[is_other], column[is_other], value[is_other]
        best = highest(row, column, value, count)
        rows.append(row[best])
        columns.append(column[best])
        values.append(value[best])
    if not rows:
        return csr_matrix((size, size), dtype=np.float32)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(size, size))


def highest(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Places of the `count` highest values of each row; of equal ones the smaller column. By row, value and column."""
    order = np.lexsort((columns, -values, rows))
    return order[place_in_run(rows[order]) < count]
