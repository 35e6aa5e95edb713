"""How many products of one category or brand a list may hold, and how many that the customer bought before."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
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
        """The rows, best first per customer, less those that come after as many kept ones of their category or brand,
        or that were bought before. What one limit leaves out does not count for the others.

        All customers at once, again and again for those with whom the last pass changed anything: a row is settled when
        all before it are, so that there are at most as many passes as rows of a customer.
        """
        if not self.most:
            return rows
        kinds = [column for column in self.most if column != BOUGHT]
        open_rows = (
            rows.select(PAIR)
            .join(self.products.select("product_id", *kinds), on="product_id", how="left", maintain_order="left")
            .join(
                self.bought.with_columns(pl.lit(value=True).alias(BOUGHT)), on=PAIR, how="left", maintain_order="left"
            )
            .select("customer_id", *self.most, place=pl.int_range(pl.len()), kept=pl.lit(value=True))
        )
        kept = np.ones(rows.height, dtype=bool)
        while open_rows.height:
            passed = open_rows.with_columns(before=pl.col("kept"), kept=pl.all_horizontal(self._allowed()))
            kept[passed.get_column("place").to_numpy()] = passed.get_column("kept").to_numpy()
            unsettled = passed.filter(pl.col("kept") != pl.col("before")).select("customer_id").unique()
            open_rows = passed.join(unsettled, on="customer_id", how="semi", maintain_order="left")
        return rows.filter(pl.Series(kept))

    def _allowed(self) -> list[pl.Expr]:
        """Per limit whether fewer than allowed of the row's group are kept before it."""
        counted = pl.col("kept").cast(pl.Int32)
        return [
            pl.col(column).is_null() | (counted.cum_sum().over("customer_id", column) - counted < most)
            for column, most in self.most.items()
        ]


NO_LIMITS = Variety(
    pl.DataFrame(schema={"product_id": pl.String}), pl.DataFrame(schema=dict.fromkeys(PAIR, pl.String)), {}
)
