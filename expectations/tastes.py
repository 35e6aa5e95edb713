"""The re-count of whether the model of tastes speaks for what a reason is given for, from the vectors that it left.

Sums over products by their own arithmetic: the mean and the mean square of a customer's scores, from the sums of the
products' vectors and of their squares. It shares no code with what made the reasons.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.night import Night

BEST = 2.0
"""With two stages: so many standard deviations above the mean of a customer's scores of all products, or more."""
ROUNDING = 1e-6
BATCH = 100_000


def unspoken_for(night: Night, reasons: pl.DataFrame, lists: pl.DataFrame) -> int:
    """Recommendations with a reason that the model scores 0 or less, or does not know.

    Where a ranker made the list as well those that are not among the model's own best for the customer. `lists` says by
    model_version which of them were: ranker-...+als-... . Raises FileNotFoundError when there are reasons and no model.
    """
    told = reasons.select("customer_id", "product_id").unique(maintain_order=True)
    if told.is_empty():
        return 0
    with np.load(night.model / "factors.npz", allow_pickle=False) as factors:
        customers, products = factors["user_factors"], factors["item_factors"]
    ranked = lists.filter(pl.col("model_version").str.contains("+", literal=True)).select("customer_id").unique()
    known = (
        told.join(_places(night, "customers", "customer_id", "row"), on="customer_id")
        .join(_places(night, "products", "product_id", "column"), on="product_id")
        .with_columns(is_ranked=pl.col("customer_id").is_in(ranked.get_column("customer_id").implode()))
    )
    good = 0
    for part in known.iter_slices(BATCH):
        tastes = customers[part.get_column("row").to_numpy()].astype(np.float64)
        scores = (tastes * products[part.get_column("column").to_numpy()]).sum(axis=1)
        least = np.where(part.get_column("is_ranked").to_numpy(), _least(tastes, products), 0.0)
        good += int(((scores > -ROUNDING) & (scores >= least - ROUNDING)).sum())
    return told.height - good


def _least(tastes: NDArray[np.float64], products: NDArray[np.float32]) -> NDArray[np.float64]:
    every = products.astype(np.float64)
    mean = tastes @ every.sum(axis=0) / len(every)
    mean_square = np.einsum("cf,fg,cg->c", tastes, every.T @ every / len(every), tastes, optimize=True)
    least: NDArray[np.float64] = mean + BEST * np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    return least


def _places(night: Night, table: str, name: str, place: str) -> pl.DataFrame:
    return pl.read_parquet(night.model / f"{table}.parquet", columns=[name]).with_row_index(place)
