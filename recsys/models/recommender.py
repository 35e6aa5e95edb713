"""What every model can do, whatever library computes it. Frames in, frames out; ids are the company's own.

Order of ids is byte order throughout, in Python as in SQL.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import polars as pl

from recsys.model_settings import Recommend
from recsys.models.topics import Topics

LIST_SCHEMA = pl.Schema({"customer_id": pl.String(), "product_id": pl.String(), "score": pl.Float64()})
"""One row per customer and product, ordered by customer_id, score from high to low, product_id."""

EVERYTHING = Topics()
"""No topic is excluded, and none is asked for."""


class Recommender(ABC):
    """Names products for customers."""

    @abstractmethod
    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        """The n best candidates of each customer, or of each topic a customer asks for, as LIST_SCHEMA.

        `candidates` are the product_ids that may be named at all; `excluded` (customer_id, product_id) are pairs that
        may not, `topics` what else may not, or is wanted. Every score is above 0: a recommender that has nothing to
        say about a pair leaves it out, so lists may be shorter than n, and a customer about whom nothing is known may
        have no row. Among equal scores the smaller product_id goes first. The order of the rows given makes no
        difference.
        """


class Model(Recommender):
    """A recommender that learns from interactions and can be kept in a folder."""

    @classmethod
    @abstractmethod
    def fit(cls, interactions: pl.DataFrame, settings: Recommend) -> Self:
        """Learn from customer_id, product_id, weight: one row per pair, every weight finite and above 0.

        The result depends on the rows and the settings alone, not on the order of rows nor on `settings.threads`.
        No rows are fine: such a model recommends nothing. Raises ModelError when the rows break these rules or when
        training gives no finite numbers.
        """

    @property
    @abstractmethod
    def version(self) -> str:
        """Names the algorithm, the settings and the interactions; equal versions give equal recommendations."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into the folder; equal versions are equal bytes. Holds personal data."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, threads: int = 0) -> Self:
        """Read what `save` wrote. Raises ModelError when a file is missing or its bytes are not the saved ones."""
