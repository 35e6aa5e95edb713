"""What is said of each item, once, for tools that join it to ids in an audience."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.channels.base import require_distinct
from recsys.channels.csv_file import as_cells
from recsys.channels.parts import Limits, Parts
from recsys.errors import CannotRender


@dataclass(frozen=True)
class ToolCatalogue:
    """A tool's catalogue: its columns and the ones of `sync_catalogue__products` in them, and what the tool takes."""

    columns: Mapping[str, str]
    ids: str
    max_characters: int
    limits: Limits

    def write(self, products: pl.DataFrame, folder: Path, stem: str) -> None:
        """Write `<stem>.csv`, one row per product ordered by id; a header alone for none. No personal data.

        Longer texts are cut. Raises CannotRender when the tool does not take an id.
        """
        require_distinct(products, ("product_id",), f"{stem}: products")
        unfit = products.filter(~pl.col("product_id").str.contains(self.ids)).height
        if unfit:
            raise CannotRender(
                f"{stem}: {unfit} product ids have characters that the tool's catalogue does not take ({self.ids}). "
                "Write ids of letters, digits, - and _ in the shop file's columns of products."
            )
        renamed = products.sort("product_id").select(pl.col(ours).alias(name) for name, ours in self.columns.items())
        cells = as_cells(renamed, {next(iter(self.columns))}, stem)
        with Parts(folder, stem, "csv", tuple(self.columns), self.limits) as parts:
            parts.add(cells.with_columns(pl.all().str.head(self.max_characters)))
