"""What the second stage knows about a pair: numbers about customer and product, about the product, and the customer.

A number that is not known, or has no meaning for the pair (days since a purchase that never was), is NaN.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.twostage.candidates import Candidates, Sources
from recsys.twostage.facts import facts
from recsys.twostage.history import FACTS
from recsys.twostage.looks import OF_CUSTOMER as LOOKS_OF_CUSTOMER
from recsys.twostage.looks import OF_PAIR as LOOKS_OF_PAIR
from recsys.twostage.looks import Looks
from recsys.twostage.product_features import OF_PRODUCT, medians, of_products
from recsys.twostage.purchases import Codes, Floats, Lines, Purchases, place_in_run

OF_PAIR = (
    "trend", "late_trend", "late_first", "trend_rank", "like", "together", "alike", "alike_all",
    "orders", "order_share", "orders_since", "in_last_six", "recent_90", "recent_180", "quantity",
    "days_since_first", "days_since_last", "gap_days", "due",
    "price_ratio", "quantity_ratio", "basket_ratio", "launched_since", "is_top_category",
    *LOOKS_OF_PAIR,
)  # fmt: skip
"""Scores of the sources; the customer's orders of the product; its price, and the quantities and sizes of the orders it
is bought in, beside the customer's own; whether it is new since their last order."""

OF_CUSTOMER = (*FACTS, "lines", "basket", "price_level", "novelty", "novelty_of_late", "mainstream", *LOOKS_OF_CUSTOMER)
"""Facts of dbt; lines per order; usual price; share of first purchases; how popular are the products they buy."""

NAMES = tuple(
    [f"pair_{name}" for name in OF_PAIR]
    + [f"product_{name}" for name in OF_PRODUCT]
    + [f"customer_{name}" for name in OF_CUSTOMER]
)
"""Columns of the matrix, in order."""

NOVELTY_ORDERS = 3


class Features:
    """Turns candidates of one history into a matrix. Tables about products and customers are made once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        purchases = sources.purchases
        known = facts(sources.history, purchases.customers)
        self._products = of_products(purchases)
        self._customers = _of_customers(purchases, known, self._products["buyers_90"])
        self._looks = Looks(sources.history, purchases)
        self._customers |= self._looks.of_customers
        self._top = _top_categories(sources, known)

    def of(self, pairs: Candidates) -> Floats:
        """One row per candidate, in their order, columns as NAMES."""
        matrix = np.empty((len(pairs.customer), len(NAMES)), dtype=np.float32)
        of_pair = self._of_pairs(pairs)
        for column, name in enumerate(OF_PAIR):
            matrix[:, column] = of_pair[name]
        for column, name in enumerate(OF_PRODUCT, len(OF_PAIR)):
            matrix[:, column] = self._products[name][pairs.product]
        for column, name in enumerate(OF_CUSTOMER, len(OF_PAIR) + len(OF_PRODUCT)):
            matrix[:, column] = self._customers[name][pairs.customer]
        return matrix

    def _of_pairs(self, pairs: Candidates) -> dict[str, Floats]:
        bought = self._sources.purchases.bought
        is_bought = pairs.entry >= 0

        def read(values: Floats, missing: float = np.nan) -> Floats:
            found = np.full(len(pairs.entry), missing, dtype=np.float32)
            found[is_bought] = values[pairs.entry[is_bought]]
            return found

        orders, first, last = read(bought.orders, 0), read(bought.first), read(bought.last)
        customers, products = self._customers, self._products
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(orders > 1, (first - last) / (orders - 1), np.nan)
            due = np.where(gap > 0, last / gap, np.nan)
            share = orders / customers["orders"][pairs.customer]
            price = np.log(products["price"][pairs.product] / customers["price_level"][pairs.customer])
        mine, its = self._top[0][pairs.customer], self._top[1][pairs.product]
        return {
            "trend": pairs.trend,
            "late_trend": pairs.late_trend,
            "late_first": pairs.late_first,
            "trend_rank": _rank(pairs.customer, is_bought, pairs.trend),
            "like": pairs.like,
            "together": pairs.together,
            "alike": pairs.alike,
            "alike_all": pairs.alike_all,
            "orders": orders,
            "order_share": share,
            "orders_since": read(bought.back),
            "in_last_six": read(bought.in_last_six, 0),
            "recent_90": read(bought.recent[90], 0),
            "recent_180": read(bought.recent[180], 0),
            "quantity": read(bought.quantity),
            "days_since_first": first,
            "days_since_last": last,
            "gap_days": gap,
            "due": due,
            "price_ratio": np.where(np.isfinite(price), price, np.nan),
            "quantity_ratio": products["log_quantity"][pairs.product] - customers["log_quantity"][pairs.customer],
            "basket_ratio": products["log_basket"][pairs.product] - customers["log_basket"][pairs.customer],
            "launched_since": products["days_sold"][pairs.product] - customers["recency_days"][pairs.customer],
            "is_top_category": np.where((mine >= 0) & (its >= 0), mine == its, np.nan),
        } | self._looks.of(pairs.customer, pairs.product)


def _rank(customer: Codes, is_bought: NDArray[np.bool_], score: Floats) -> Floats:
    """Rank from 1 of each pair's score among those of the customer's that were bought too, or were not, too."""
    order = np.lexsort((-score, is_bought, customer))
    ranks = np.empty(len(order), dtype=np.float32)
    ranks[order] = place_in_run((customer[order].astype(np.int64) << 1) | is_bought[order]) + 1
    return ranks


def _of_customers(purchases: Purchases, known: pl.DataFrame, popularity: Floats) -> dict[str, Floats]:
    lines, bought, count = purchases.lines, purchases.bought, purchases.shape[0]
    table = {name: known.get_column(name).fill_null(float("nan")).to_numpy() for name in FACTS}
    position = _entry_of(lines, bought.starts)
    is_first = lines.age >= bought.first[position] if len(position) else np.zeros(0, dtype=bool)
    is_later = lines.order != _first_orders(lines, count)[lines.customer]
    is_late = lines.back < NOVELTY_ORDERS

    def tally(chosen: NDArray[np.bool_]) -> Floats:
        return np.bincount(lines.customer[chosen], minlength=count).astype(np.float32)

    everything = tally(np.ones(len(lines.customer), dtype=bool))
    seen = np.bincount(bought.customer, bought.recent[90] * popularity[bought.product], minlength=count)
    weight = np.bincount(bought.customer, bought.recent[90], minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return table | {
            "lines": everything,
            "basket": everything / table["orders"],
            "log_basket": np.log(everything / table["orders"]),
            "log_quantity": (np.bincount(lines.customer, np.log(lines.quantity), count) / everything).astype(
                np.float32
            ),
            "price_level": medians(lines.customer, lines.price, count),
            "novelty": tally(is_first & is_later) / tally(is_later),
            "novelty_of_late": tally(is_first & is_late) / tally(is_late),
            "mainstream": (seen / weight).astype(np.float32),
        }


def _entry_of(lines: Lines, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Per line its place in `bought`, whose entries are the distinct customers and products of the lines, in order."""
    key = lines.customer.astype(np.int64) << 32 | lines.product
    return np.cumsum(np.r_[False, key[1:] != key[:-1]][: len(key)]) if starts[-1] else np.zeros(0, dtype=np.int64)


def _first_orders(lines: Lines, customers: int) -> Codes:
    """Per customer the order that most others have followed, or -1."""
    found = np.full(customers, -1, dtype=np.int32)
    order = np.lexsort((lines.order, lines.back, lines.customer))
    found[lines.customer[order]] = lines.order[order]
    return found


def _top_categories(sources: Sources, known: pl.DataFrame) -> tuple[Codes, Codes]:
    """Codes of the customers' top category and of the products' first step; -1 where not known."""
    step = sources.history.products.get_column("category").str.split(">").list.first().str.strip_chars()
    names = step.drop_nulls().unique().sort()
    codes = pl.DataFrame({"name": names, "code": np.arange(len(names), dtype=np.int32)})

    def of(values: pl.Series) -> Codes:
        found = values.to_frame("name").join(codes, on="name", how="left", maintain_order="left")
        return found.get_column("code").fill_null(-1).to_numpy()

    return of(known.get_column("top_category")), of(step)
