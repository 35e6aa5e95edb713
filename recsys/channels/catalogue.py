"""The products that tonight's files name, once each, for tools that keep product details apart from people."""

from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import read_decisions, require_distinct
from recsys.channels.table_file import TableFile

CATALOGUE = "catalogue"


class Catalogue(TableFile):
    """One row per product that some exported row names, ordered by product_id. No personal data."""

    name = CATALOGUE
    columns = ("product_id", "name", "category", "brand", "price", "currency", "url", "image_url")
    exact = frozenset({"product_id"})

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:  # noqa: ARG002
        products = read_decisions(decisions, "sync_catalogue__products")
        require_distinct(products, ("product_id",), f"{self.name}: products")
        return products.select(self.columns).sort("product_id")
