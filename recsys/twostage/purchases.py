"""A history as numbers: ids are places in sorted ids, and purchases are arrays that one can gather from."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.models.matrix import positions, row_starts
from recsys.twostage.history import DAY, History

Codes = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lines:
    """One entry per customer, product and order; by customer, then product, then from the oldest to the newest."""

    customer: Codes
    product: Codes
    order: Codes
    """Distinct over all customers."""
    back: Codes
    """Orders of this customer since: 0 is in the last one."""
    age: Floats
    """Days before the end of the history."""
    quantity: Floats
    price: Floats
    """Of one, in units of currency; NaN when not known."""


@dataclass(frozen=True)
class Bought:
    """One entry per customer and product they bought, ordered by both; customer i owns starts[i] to starts[i + 1]."""

    starts: NDArray[np.int64]
    customer: Codes
    product: Codes
    orders: Floats
    in_last_six: Floats
    """How many of the customer's last six orders have it."""
    back: Floats
    """Orders of this customer since the last one with it."""
    quantity: Floats
    first: Floats
    """Days since the first purchase, and since the last."""
    last: Floats
    recent: dict[int, Floats]
    """Half-life in days -> orders, each halved every so many days."""


HALF_LIVES = (60, 90, 180)


class Purchases:
    """What customers of a history bought. Customers are those with any event at all, products all of the history's."""

    def __init__(self, history: History) -> None:
        self.customers = history.events.get_column("customer_id").unique().sort()
        self.products = history.products.get_column("product_id")
        self.is_eligible: NDArray[np.bool_] = (
            history.products.get_column("is_eligible").fill_null(value=False).to_numpy().astype(bool)
        )
        self.lines = _lines(history, self.customers, self.products)
        self.bought = _bought(self.lines, len(self.customers))

    @property
    def shape(self) -> tuple[int, int]:
        """How many customers, and how many products."""
        return len(self.customers), len(self.products)

    def matrix(self, values: Floats) -> csr_matrix:
        """Customers by products, with one value per entry of `bought`."""
        return csr_matrix((values, self.bought.product, self.bought.starts), shape=self.shape)

    def keys_of(self, pairs: pl.DataFrame) -> NDArray[np.int64]:
        """Customer x products + product of each distinct pair (customer_id, product_id) that is known; ascending."""
        known = (
            pairs.select("customer_id", "product_id")
            .join(positions(self.customers, "customer_id", "row"), on="customer_id")
            .join(positions(self.products, "product_id", "column"), on="product_id")
        )
        row, column = (known.get_column(name).to_numpy().astype(np.int64) for name in ("row", "column"))
        return np.unique(row * self.shape[1] + column)

    def marked(self, pairs: pl.DataFrame) -> csr_matrix:
        """Customers by products, 1 at each of these pairs."""
        keys, products = self.keys_of(pairs), max(1, self.shape[1])
        at = (keys // products, keys % products)
        return csr_matrix((np.ones(len(keys), dtype=np.float32), at), shape=self.shape)


def _lines(history: History, customers: pl.Series, products: pl.Series) -> Lines:
    orders = history.orders()
    frame = orders.select(
        customer=_codes(orders, customers, "customer_id"),
        product=_codes(orders, products, "product_id"),
        order=pl.struct("customer_id", "order_id").rank("dense").cast(pl.Int32) - 1,
        age=((pl.lit(history.end) - pl.col("occurred_at")).dt.total_microseconds() / (DAY.total_seconds() * 1e6)),
        quantity="quantity",
        price=pl.col("unit_price").fill_null(float("nan")),
    ).sort("customer", "product", "age", "order", descending=[False, False, True, False])
    customer, order, age = (frame.get_column(name).to_numpy() for name in ("customer", "order", "age"))
    return Lines(
        customer,
        frame.get_column("product").to_numpy(),
        order,
        _orders_since(customer, order, age),
        age.astype(np.float32),
        frame.get_column("quantity").to_numpy().astype(np.float32),
        frame.get_column("price").to_numpy().astype(np.float32),
    )


def _codes(frame: pl.DataFrame, ids: pl.Series, name: str) -> pl.Series:
    return frame.select(name).join(positions(ids, name, "code"), on=name, how="left", maintain_order="left")["code"]


def _orders_since(customer: Codes, order: Codes, age: NDArray[np.float64]) -> Codes:
    """Per line how many orders of the same customer are younger than its own."""
    if not len(order):
        return np.zeros(0, dtype=np.int32)
    count = int(order.max()) + 1
    youngest, owner = np.full(count, np.inf), np.zeros(count, dtype=np.int32)
    np.minimum.at(youngest, order, age)
    owner[order] = customer
    ranked = np.lexsort((np.arange(count), youngest, owner))
    back = np.zeros(count, dtype=np.int32)
    back[ranked] = place_in_run(owner[ranked])
    return back[order]


def place_in_run(keys: NDArray[np.int32] | NDArray[np.int64]) -> Codes:
    """Of each entry of sorted keys its place among equal ones, from 0."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])[: len(keys)]
    lengths = np.diff(np.r_[starts, len(keys)])
    return (np.arange(len(keys)) - np.repeat(starts, lengths)).astype(np.int32)


def is_among(keys: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the keys are among the ascending known ones."""
    place = np.searchsorted(known, keys)
    found: NDArray[np.bool_] = place < len(known)
    found[found] = known[place[found]] == keys[found]
    return found


def _bought(lines: Lines, customers: int) -> Bought:
    key = lines.customer.astype(np.int64) << 32 | lines.product
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])[: len(key)]
    if not len(key):
        empty, none = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int32)
        recent = dict.fromkeys(HALF_LIVES, empty)
        starts = row_starts(none, customers)
        return Bought(starts, none, none, empty, empty, empty, empty, empty, empty, recent)
    ends = np.r_[starts[1:], len(key)] - 1

    def total(values: NDArray[np.generic]) -> Floats:
        return np.add.reduceat(values.astype(np.float32), starts)

    return Bought(
        row_starts(lines.customer[starts], customers),
        lines.customer[starts],
        lines.product[starts],
        (ends - starts + 1).astype(np.float32),
        total(lines.back < 6),
        lines.back[ends].astype(np.float32),
        total(lines.quantity),
        lines.age[starts],
        lines.age[ends],
        {days: total(0.5 ** (lines.age / days)) for days in HALF_LIVES},
    )
