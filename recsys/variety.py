"""How many products of one category or brand a list may hold, and how many that the customer bought before."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recsys.list_settings import Variety as Settings

PAIR = ["customer_id", "product_id"]
BOUGHT = "is_bought"


@dataclass(frozen=True)
class Variety:
    """Limits for every list alike. `most`: column of `products` (product_id, top_category, brand) to how many.

    `bought` (customer_id, product_id; each pair once) is what each customer bought before: the column BOUGHT. A product
    without a category or brand falls under no limit of it.
    """

    products: pl.DataFrame
    bought: pl.DataFrame
    most: Mapping[str, int]

    @classmethod
    def of(cls, products: pl.DataFrame, interactions: pl.DataFrame, settings: Settings) -> "Variety":
        """What the shop file limits; nothing unless it says so."""
        bought = interactions.filter(pl.col("is_bought").fill_null(False)).select(PAIR)
        limits = {
            "top_category": settings.max_per_category,
            "brand": settings.max_per_brand,
            BOUGHT: settings.max_bought_again,
        }
        return cls(products, bought, {column: most for column, most in limits.items() if most is not None})

    def within(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, best first per customer, less those that come after as many others of their category or brand, or
        that were bought before.

        In one pass: a row that one limit leaves out still counts for the others, so that no limit is ever exceeded.
        """
        if not self.most:
            return rows
        kinds = [column for column in self.most if column != BOUGHT]
        groups = (
            rows.select(PAIR)
            .join(self.products.select("product_id", *kinds), on="product_id", how="left", maintain_order="left")
            .join(
                self.bought.with_columns(pl.lit(value=True).alias(BOUGHT)), on=PAIR, how="left", maintain_order="left"
            )
        )
        beyond = [
            pl.col(column).is_not_null() & (pl.int_range(1, pl.len() + 1).over("customer_id", column) > most)
            for column, most in self.most.items()
        ]
        return rows.filter(~groups.select(pl.any_horizontal(beyond)).to_series())


NO_LIMITS = Variety(
    pl.DataFrame(schema={"product_id": pl.String}), pl.DataFrame(schema=dict.fromkeys(PAIR, pl.String)), {}
)
