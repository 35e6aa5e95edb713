"""How many products of one category or brand a list may hold."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recsys.list_settings import Variety as Settings

PAIR = ["customer_id", "product_id"]


@dataclass(frozen=True)
class Variety:
    """Limits for every list alike. `most`: column of `products` (product_id, top_category, brand) to how many.

    A product without a category or brand falls under no limit of it.
    """

    products: pl.DataFrame
    most: Mapping[str, int]

    @classmethod
    def of(cls, products: pl.DataFrame, settings: Settings) -> "Variety":
        """What the shop file limits; nothing unless it says so."""
        limits = {"top_category": settings.max_per_category, "brand": settings.max_per_brand}
        return cls(products, {column: most for column, most in limits.items() if most is not None})

    def within(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, best first per customer, less those that come after as many others of their category or brand.

        In one pass: a row that one limit leaves out still counts for the other, so that no limit is ever exceeded.
        """
        if not self.most:
            return rows
        groups = rows.select(PAIR).join(
            self.products.select("product_id", *self.most), on="product_id", how="left", maintain_order="left"
        )
        beyond = [
            pl.col(column).is_not_null() & (pl.int_range(1, pl.len() + 1).over("customer_id", column) > most)
            for column, most in self.most.items()
        ]
        return rows.filter(~groups.select(pl.any_horizontal(beyond)).to_series())


NO_LIMITS = Variety(pl.DataFrame(schema={"product_id": pl.String}), {})
