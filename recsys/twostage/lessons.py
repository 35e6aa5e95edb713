"""What a ranker learns from: older moments, what was known at each, and what was bought in the days after it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.twostage.candidates import Candidates
from recsys.twostage.features import NAMES
from recsys.twostage.history import History
from recsys.twostage.pool import Pool
from recsys.twostage.purchases import Floats
from recsys.twostage.ranker_settings import RankerSettings

MOST_LISTS = 10_000
"""Of more customers than this who bought something, a lesson draws so many: time and memory do not grow beyond it."""


@dataclass(frozen=True)
class Lesson:
    """What was known at one moment, and what was bought after it (customer_id, product_id), in some days."""

    history: History
    bought: pl.DataFrame


@dataclass(frozen=True)
class Examples:
    """Lists to learn from: features (columns as NAMES) and whether the pair was bought, one per row; rows per list."""

    features: Floats
    labels: Floats
    sizes: NDArray[np.int64]


def examples(pool: Pool, bought: pl.DataFrame, settings: RankerSettings) -> Examples:
    """What is to be learnt of a pool, whose customers bought these pairs (customer_id, product_id) afterwards.

    Of customers who bought one of their candidates; of more than MOST_LISTS buyers a seeded draw.
    """
    purchases = pool.sources.purchases
    shape = purchases.shape
    wanted = purchases.keys_of(bought)
    buyers = np.unique(wanted // max(1, shape[1])).astype(np.int32)
    if len(buyers) > MOST_LISTS:
        buyers = np.sort(np.random.default_rng(settings.seed).choice(buyers, MOST_LISTS, replace=False))

    def work(pairs: Candidates) -> Examples:
        is_bought = np.isin(pairs.customer.astype(np.int64) * shape[1] + pairs.product, wanted)
        teaches = np.isin(pairs.customer, pairs.customer[is_bought])
        sizes = np.unique(pairs.customer[teaches], return_counts=True)[1].astype(np.int64)
        return Examples(pool.features.of(pairs)[teaches], is_bought[teaches].astype(np.float32), sizes)

    parts = [_NO_EXAMPLES, *pool.sources.each(buyers, csr_matrix(shape, dtype=np.float32), work)]
    return Examples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.sizes for part in parts]),
    )


_NO_EXAMPLES = Examples(
    np.zeros((0, len(NAMES)), dtype=np.float32), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
)
