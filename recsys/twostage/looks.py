"""What customers looked at, put into carts and on wishlists, per pair; and how much they do so at all."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.models.matrix import positions
from recsys.twostage.history import DAY, History
from recsys.twostage.purchases import Codes, Floats, Purchases, is_among
from recsys.vocabulary import Interaction

OF_PAIR = ("views", "wishes", "days_since_seen")
"""Times looked at; times put into the cart or on the wishlist; days since the last of both, NaN without any."""
OF_CUSTOMER = ("looks", "days_since_look")
"""Events of all kinds but orders; days since the last one, NaN without any."""


class Looks:
    """Everything of a history that is no order. Made once, asked for pairs."""

    def __init__(self, history: History, purchases: Purchases) -> None:
        self._products = purchases.shape[1]
        age = (pl.lit(history.end) - pl.col("occurred_at")).dt.total_microseconds() / (DAY.total_seconds() * 1e6)
        is_view = pl.col("kind") == Interaction.VIEW.value
        seen = (
            history.events.filter(pl.col("kind") != Interaction.ORDER.value)
            .join(positions(purchases.customers, "customer_id", "row"), on="customer_id")
            .join(positions(purchases.products, "product_id", "column"), on="product_id")
            .select(key=pl.col("row").cast(pl.Int64) * self._products + pl.col("column"), age=age, is_view=is_view)
        )
        pairs = (
            seen.group_by("key")
            .agg(views=pl.col("is_view").sum(), wishes=(~pl.col("is_view")).sum(), days=pl.col("age").min())
            .sort("key")
        )
        self._keys: NDArray[np.int64] = pairs.get_column("key").to_numpy()
        self._values = [pairs.get_column(name).to_numpy().astype(np.float32) for name in ("views", "wishes", "days")]
        row, count = (self._keys // max(1, self._products)).astype(np.int32), purchases.shape[0]
        looks = np.bincount(row, self._values[0] + self._values[1], minlength=count).astype(np.float32)
        latest = np.full(count, np.inf, dtype=np.float32)
        np.minimum.at(latest, row, self._values[2])
        self.of_customers = dict(zip(OF_CUSTOMER, (looks, np.where(np.isinf(latest), np.nan, latest)), strict=True))

    def of(self, customers: Codes, products: Codes) -> dict[str, Floats]:
        """OF_PAIR of these pairs."""
        keys = customers.astype(np.int64) * self._products + products
        is_seen = is_among(keys, self._keys)
        place = np.searchsorted(self._keys, keys[is_seen])
        found = {}
        for name, values, missing in zip(OF_PAIR, self._values, (0, 0, np.nan), strict=True):
            found[name] = np.full(len(keys), missing, dtype=np.float32)
            found[name][is_seen] = values[place]
        return found
