"""Interactions as numbers: sorted ids, and sorted (customer, product, weight) triplets that refer to them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.errors import ModelError

PAIR = ["customer_id", "product_id"]


@dataclass(frozen=True)
class InteractionMatrix:
    """Interactions in compressed rows: one per customer, ascending; products ascending within each.

    The same interactions in any order give the same matrix.
    """

    customers: pl.Series
    products: pl.Series
    row_starts: NDArray[np.int64]
    """customers + 1 numbers: customer i owns the entries from row_starts[i] up to row_starts[i + 1]."""
    columns: NDArray[np.int32]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, interactions: pl.DataFrame) -> "InteractionMatrix":
        """From customer_id, product_id, weight. Raises ModelError when the rows cannot be trained on."""
        _check(interactions)
        customers = interactions.get_column("customer_id").unique().sort()
        products = interactions.get_column("product_id").unique().sort()
        entries = (
            interactions.select(*PAIR, pl.col("weight").cast(pl.Float64))
            .join(positions(customers, "customer_id", "row"), on="customer_id")
            .join(positions(products, "product_id", "column"), on="product_id")
            .select("row", "column", "weight")
            .sort("row", "column")
        )
        repeated = entries.select(((pl.col("row").diff() == 0) & (pl.col("column").diff() == 0)).sum()).item()
        if repeated:
            raise ModelError(
                f"interactions: {repeated:,} of {interactions.height:,} rows repeat a customer_id and product_id; "
                "expected one row per pair."
            )
        return cls(
            customers,
            products,
            row_starts(entries.get_column("row").to_numpy(), len(customers)),
            entries.get_column("column").to_numpy().astype(np.int32),
            entries.get_column("weight").to_numpy().astype(np.float64),
        )

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of ids, pairs and weights."""
        digest = hashlib.sha256()
        for ids in (self.customers, self.products):
            digest.update(np.array([len(ids)], dtype="<i8").tobytes())
            digest.update(ids.str.len_bytes().to_numpy().astype("<i8").tobytes())
            digest.update("".join(ids).encode())
        digest.update(self.row_starts.astype("<i8").tobytes())
        digest.update(self.columns.astype("<i4").tobytes())
        digest.update(self.weights.astype("<f8").tobytes())
        return digest.hexdigest()


def positions(ids: pl.Series, name: str, position: str) -> pl.DataFrame:
    """Each id beside its place in `ids`, from 0."""
    return pl.DataFrame({name: ids, position: np.arange(len(ids), dtype=np.int32)})


def row_starts(rows: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Where each of `count` rows starts among entries sorted by row, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)


def _check(interactions: pl.DataFrame) -> None:
    total = interactions.height
    anonymous = interactions.filter(pl.any_horizontal(pl.col(PAIR).is_null())).height
    if anonymous:
        raise ModelError(f"interactions: customer_id or product_id is empty in {anonymous:,} of {total:,} rows.")
    usable = pl.col("weight").cast(pl.Float64).is_finite().fill_null(False) & (pl.col("weight") > 0)
    unusable = interactions.filter(~usable).height
    if unusable:
        raise ModelError(
            f"interactions.weight: not a finite number above 0 in {unusable:,} of {total:,} rows. "
            "Check recommend.weights and recommend.half_life_days, and the quantities and dates behind these rows."
        )
