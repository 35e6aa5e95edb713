"""Parts of a score: whose lists they are, how well the customers were known, and whether products were new to them."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from recsys.lists import Features
from recsys.models.matrix import PAIR

MOST_SEGMENTS = 10
HISTORIES = ["0 products", "1 product", "2-4 products", "5-9 products", "10-29 products", "30 or more products"]
STAGES = ["nothing", "interests stated", "looked only", "1 order", "2-4 orders", "5 or more orders"]
"""How well a customer is known, from not at all on; who has stated interests and done more counts by what they did."""
BEFORE, NEW = "bought before", "new to them"


@dataclass(frozen=True)
class Splits:
    """What was known before a window: `bought` (customer_id, product_id), `segments` (customer_id, segment) and
    `stages` (customer_id, stage: one of STAGES), one row per customer; who is in none of them is not known at all."""

    bought: pl.DataFrame
    segments: pl.DataFrame
    stages: pl.DataFrame

    @classmethod
    def of(cls, features: Features) -> "Splits":
        """As features have it. Only of customers who allow personalisation anything is known."""
        facts = features.customer_features
        orders = pl.col("orders").bin_intervals([2, 5], labels=STAGES[3:]).cast(pl.String)
        told = features.limits.rules.rules.filter(pl.col("because") == "interested").select("customer_id").unique()
        stage = (
            pl.when(pl.col("orders") > 0)
            .then(orders)
            .when("has_history")
            .then(pl.lit(STAGES[2]))
            .when(pl.col("customer_id").is_in(told.to_series().implode()))
            .then(pl.lit(STAGES[1]))
            .otherwise(pl.lit(STAGES[0]))
        )
        bought = features.interactions.filter("is_bought").select(PAIR)
        return cls(bought, facts.select("customer_id", "segment"), facts.select("customer_id", stage=stage))

    def by_customer(self, values: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
        """Split `history` or `segment`, part, and the rows of `values` (customer_id, any others) that are of it."""
        lengths = self.bought.group_by("customer_id").len()
        length = pl.col("len").fill_null(0).bin_intervals([1, 2, 5, 10, 30], labels=HISTORIES)
        known = values.join(lengths, on="customer_id", how="left").with_columns(part=length.cast(pl.String))
        yield from _parted("history", known.drop("len"))
        of_segment = values.join(self.segments, on="customer_id").rename({"segment": "part"})
        largest = of_segment.group_by("part").len().sort("len", "part", descending=[True, False]).head(MOST_SEGMENTS)
        yield from _parted("segment", of_segment.join(largest.select("part"), on="part", how="semi"))

    def by_stage(self, values: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
        """Split `known`, stage, and the rows of `values` (customer_id, any others) that are of it."""
        staged = values.join(self.stages, on="customer_id", how="left").rename({"stage": "part"})
        yield from _parted("known", staged.with_columns(pl.col("part").fill_null(STAGES[0])))

    def by_product(self, relevant: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
        """Split `repeat`, BEFORE or NEW, and the pairs of `relevant` that are of it; neither is ever empty."""
        for part, how in ((BEFORE, "semi"), (NEW, "anti")):
            pairs = relevant.join(self.bought, on=PAIR, how=how)  # type: ignore[arg-type]
            if pairs.height:
                yield "repeat", part, pairs


def _parted(split: str, rows: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    parts = rows.sort("part", "customer_id").partition_by("part", as_dict=True, maintain_order=True, include_key=False)
    yield from ((split, str(part), of_part) for (part,), of_part in parts.items())
