"""Topics in what a recommender is asked: products of which topics not to name, or to choose from alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.models.matrix import positions, row_starts

NO_TOPICS = pl.DataFrame(schema={"customer_id": pl.String, "topic": pl.String})
NO_PRODUCTS = pl.DataFrame(schema={"product_id": pl.String, "topic": pl.String})


@dataclass(frozen=True)
class Topics:
    """What of a customer's topics a recommender has to mind; each frame has distinct rows.

    `products` (product_id, topic) says what belongs to what. `excluded` (customer_id, topic): no product of the topic
    may be named to the customer. `within` (customer_id, topic), when given: the n best of each of these topics are
    wanted instead of the n best of everything; their products once each, however many topics name them.
    """

    products: pl.DataFrame = field(default_factory=NO_PRODUCTS.clone)
    excluded: pl.DataFrame = field(default_factory=NO_TOPICS.clone)
    within: pl.DataFrame | None = None

    def asked(self, customers: pl.Series) -> pl.Series:
        """Those of the customers who are to get anything."""
        if self.within is None:
            return customers
        return customers.filter(customers.is_in(self.within.get_column("customer_id").unique().implode()))

    def groups(
        self, customers: pl.Series, products: pl.Series
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Who is to choose from what: ascending places in `customers`, and in `products`; neither is ever empty.

        One group of all, or one per topic of `within`, smaller topics first.
        """
        if self.within is None:
            everyone, everything = (np.arange(len(ids), dtype=np.int32) for ids in (customers, products))
            yield from [(everyone, everything)] if len(everyone) and len(everything) else []
            return
        rows = _places(self.within, customers, "customer_id")
        columns = _places(self.products, products, "product_id")
        both = rows.join(columns, on="topic", suffix="_of_products").sort("topic")
        for row, column in both.select("place", "place_of_products").iter_rows():
            yield np.array(row, dtype=np.int32), np.array(column, dtype=np.int32)


def blocked(customers: pl.Series, products: pl.Series, pairs: pl.DataFrame, topics: Topics) -> csr_matrix:
    """Customers by products, above 0 where a product may not be named: in `pairs`, or of an excluded topic."""
    shape = (len(customers), len(products))
    of_pairs = _sparse(_coordinates(pairs, ("customer_id", customers), ("product_id", products)), shape)
    names = topics.excluded.get_column("topic").unique().sort()
    if not len(names):
        return of_pairs
    of_customers = _coordinates(topics.excluded, ("customer_id", customers), ("topic", names))
    of_products = _coordinates(topics.products, ("topic", names), ("product_id", products))
    told = _sparse(of_customers, (len(customers), len(names)))
    return (of_pairs + told @ _sparse(of_products, (len(names), len(products)))).tocsr()


def _places(frame: pl.DataFrame, ids: pl.Series, name: str) -> pl.DataFrame:
    """Per topic the ascending places in `ids` of what the frame names."""
    known = frame.join(positions(ids, name, "place"), on=name).sort("topic", "place")
    return known.group_by("topic", maintain_order=True).agg("place")


def _coordinates(frame: pl.DataFrame, rows: tuple[str, pl.Series], columns: tuple[str, pl.Series]) -> pl.DataFrame:
    """Distinct row and column, ordered, of what the frame names among the ids of both."""
    return (
        frame.join(positions(rows[1], rows[0], "row"), on=rows[0])
        .join(positions(columns[1], columns[0], "column"), on=columns[0])
        .select("row", "column")
        .unique()
        .sort("row", "column")
    )


def _sparse(entries: pl.DataFrame, shape: tuple[int, int]) -> csr_matrix:
    starts = row_starts(entries.get_column("row").to_numpy(), shape[0])
    columns = entries.get_column("column").to_numpy()
    return csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), shape=shape)
