"""Tonight's people of a tool's channel with their slots side by side, some at a time."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import require_distinct, scan_decisions
from recsys.channels.wording import Wording
from recsys.errors import CannotRender

ITEM_COLUMNS = {"id": "product_id", "name": "product_name"}
"""Part of a slot -> column of the items, where they are called otherwise."""


class Recipients:
    """Who is in `sync_tool__recipients` of one channel, ordered by customer_id.

    Raises StageInputMissing without decisions, and CannotRender when a person repeats or lacks the identifier, or an
    item fits no slot.
    """

    def __init__(
        self, decisions: Path, channel: str, run_date: date, slots: int, identifier: str, wording: Wording
    ) -> None:
        ours = pl.col("channel") == channel
        self.channel = channel
        self.slots = slots
        self.wording = wording
        people = scan_decisions(decisions, "sync_tool__recipients").filter(ours).drop("channel").collect()
        self.people = people.sort("customer_id").with_columns(run_date=pl.lit(run_date, pl.Date))
        require_distinct(self.people, ("customer_id",), f"{channel}: recipients")
        require_distinct(self.people, (identifier,), f"{channel}: recipients")
        self.items = scan_decisions(decisions, "sync_tool__items").filter(ours).drop("channel")
        self._check()

    def slices(self, rows: int, parts: tuple[str, ...]) -> Iterator[pl.DataFrame]:
        """Recipients with `items`, how many they have, and `rec_<slot>_<part>`, at most so many rows at a time."""
        for start in range(0, self.people.height, rows):
            some = self.people.slice(start, rows)
            first, last = (pl.lit(some["customer_id"][place]) for place in (0, -1))
            between = pl.col("customer_id").is_between(first, last)
            items = self.wording.said(self.items.filter(between).collect(), some)
            counts = items.group_by("customer_id").agg(pl.len().alias("items"))
            some = some.join(counts, on="customer_id", how="left", maintain_order="left")
            for slot in range(1, self.slots + 1):
                cells = (pl.col(ITEM_COLUMNS.get(part, part)).alias(f"rec_{slot}_{part}") for part in parts)
                of_slot = items.filter(pl.col("rank") == slot).select("customer_id", *cells)
                some = some.join(of_slot, on="customer_id", how="left", maintain_order="left")
            yield some.with_columns(pl.col("items").fill_null(0))

    def _check(self) -> None:
        items = self.items.select("customer_id", "rank").collect()
        require_distinct(items, ("customer_id", "rank"), f"{self.channel}: items")
        outside = items.filter(~pl.col("rank").is_between(1, self.slots)).height
        strangers = items.join(self.people, on="customer_id", how="anti").height
        if outside or strangers:
            raise CannotRender(
                f"{self.channel}: {outside} items have a rank outside 1 to {self.slots} and {strangers} belong to "
                "nobody in the audience. Run decide again."
            )
