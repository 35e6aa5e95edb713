"""Why a product is recommended: the own products of a customer that its score comes from, with their shares."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.models.contributions import Histories, Whitened, confidences, contributions, strongest
from recsys.models.matrix import positions, row_starts

REASON_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "product_id": pl.String(),
        "place": pl.Int32(),
        "because_product_id": pl.String(),
        "share": pl.Float64(),
    }
)
"""One row per customer, recommended product and place (from 1, the strongest reason), ordered by all three."""


@dataclass(frozen=True)
class Reasons:
    """What an implicit-feedback ALS model knows: ids, sorted; product vectors; and how it was trained."""

    customers: pl.Series
    products: pl.Series
    vectors: NDArray[np.float32]
    """One row per product."""
    regularization: float
    alpha: float
    """Confidence is alpha x weight."""
    is_learnt: NDArray[np.bool_]
    """Per product: its vector comes from interactions."""

    def of(self, rows: pl.DataFrame, interactions: pl.DataFrame, nameable: pl.Series, top: int) -> pl.DataFrame:
        """The `top` strongest reasons of every row, as REASON_SCHEMA; see `recsys.models.contributions`.

        `rows` (customer_id, product_id; each pair once) are the scores asked about; `interactions` (customer_id,
        product_id, weight, is_bought; each pair once) those that the model was fitted to; `nameable` the product_ids
        that may be given as a reason. A product that was not bought is no reason for itself, and where it contributes
        more than anything that may be named, nothing is: the row comes from the look at it. The share is of all
        positive contributions, whether or not their products may be named. A row that the model knows nothing of, one
        whose contributions add up to 0 or less, and one without a positive contribution of a product that may be named,
        has no reason. The order of rows given makes no difference.
        """
        asked = self._coordinates(rows)
        own = self._coordinates(interactions, "weight", "is_bought")
        own = own.join(asked.select("row").unique(), on="row", how="semi", maintain_order="left")
        if asked.is_empty() or own.is_empty() or top < 1:
            return REASON_SCHEMA.to_frame()
        histories = Histories(
            row_starts(own.get_column("row").to_numpy(), len(self.customers)),
            own.get_column("column").to_numpy(),
            confidences(own.get_column("weight").cast(pl.Float64).to_numpy(), self.alpha),
        )
        may_be_named = self.products.is_in(nameable.implode()).to_numpy()
        is_bought = own.get_column("is_bought").fill_null(value=False).to_numpy()
        customers, products = (asked.get_column(name).to_numpy().astype(np.int64) for name in ("row", "column"))
        parts = []
        for batch in contributions(
            Whitened.of(self.vectors, self.regularization, self.is_learnt), histories, customers, products
        ):
            is_itself = batch.own[:, None, :] == products[batch.pairs][:, :, None]
            is_reason = is_bought[batch.entries][:, None, :] | ~is_itself
            parts.append(strongest(batch, may_be_named[batch.own][:, None, :] & is_reason, top, ~is_reason))
        pair, place, because, share = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        order = np.lexsort((place, pair))
        return pl.DataFrame(
            {
                "customer_id": self.customers.gather(customers[pair[order]]),
                "product_id": self.products.gather(products[pair[order]]),
                "place": place[order].astype(np.int32),
                "because_product_id": self.products.gather(because[order]),
                "share": share[order],
            },
            schema=REASON_SCHEMA,
        )

    def _coordinates(self, frame: pl.DataFrame, *kept: str) -> pl.DataFrame:
        """Row and column of pairs whose customer and product are known, ordered by both, and the columns to keep."""
        return (
            frame.join(positions(self.customers, "customer_id", "row"), on="customer_id")
            .join(positions(self.products, "product_id", "column"), on="product_id")
            .select("row", "column", *kept)
            .sort("row", "column")
        )
