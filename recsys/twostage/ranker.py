"""The second stage: trees of two objectives, whose margins are averaged.

They learn, from a few older moments, which candidates customers bought in the days after: LambdaMART (Burges 2010) how
to order a list, logistic trees how likely each purchase is. A deviation of the one's margins counts as one of the
other's. The score of a pair is the exponential of its margin, so that scores are above 0 and a factor on a score is a
step of its margin.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.champion import RANKER_FORMAT
from recsys.errors import ModelError
from recsys.files import read_json, replace_file, sha256_of, write_json
from recsys.model_settings import Recommend
from recsys.twostage.candidates import Candidates, Counts
from recsys.twostage.features import NAMES
from recsys.twostage.history import History
from recsys.twostage.pool import Pool
from recsys.twostage.purchases import Codes, Floats, place_in_run
from recsys.twostage.trees import LIBRARY, Trees

OBJECTIVES = ("lambdarank", "binary")
FILES = tuple(f"{objective}.txt" for objective in OBJECTIVES)
CARD = "card.json"
FIRST_TREES, FINALISTS = 20, 25
MEASURED = 50_000
"""Of at most about so many examples the deviation of the margins is measured."""
NOTHING_TOLD = 1e-9
"""A deviation that is none but for rounding."""
FEW_PAIRS = 500_000
"""So many are learnt on one thread: threads that wait for each other cost more than they save, most of all on a busy
machine. The trees are the same."""
MOST_LISTS = 10_000
"""Of more customers than this who bought something, a lesson draws so many: time and memory do not grow beyond it."""


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker learns. `tastes` and `counts` hold for its candidates, when it learns and when it ranks."""

    trees: int = 100
    """Of each objective."""
    leaves: int = 31
    learning_rate: float = 0.08
    truncation: int = 20
    """Places of a list whose order is learnt."""
    pairs_per_leaf: int = 50
    share_of_features: float = 0.5
    share_of_customers: float = 1.0
    l2: float = 5.0
    seed: int = 42
    tastes: Recommend = field(default_factory=lambda: Recommend(half_life_days=120))
    counts: Counts = field(default_factory=Counts)

    def card(self) -> dict[str, Any]:
        """Everything that decides what is learnt, as JSON has it; not the number of threads."""
        learning = asdict(self)
        learning["tastes"] = self.tastes.model_dump(
            mode="json", exclude={"threads", "k", "popular_days", "country_buyers"}
        )
        return learning


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


class Ranker:
    """Trees that score candidates."""

    def __init__(self, trees: Sequence[Trees], settings: RankerSettings, card: dict[str, Any]) -> None:
        """Use `fit` or `load`."""
        self._trees = trees
        self.settings = settings
        self._card = card

    @property
    def version(self) -> str:
        """Names the algorithm, the settings and the trees; equal versions give equal scores."""
        return str(self._card["model_version"])

    @classmethod
    def fit(cls, lessons: Iterable[Lesson], settings: RankerSettings) -> Self:
        """Learn from one or more lessons, held in memory one at a time.

        Only customers who bought one of their candidates teach anything. Raises ModelError when there is nobody like
        that. The result depends on rows, the order of lessons and settings, not on threads or the order of rows.
        """
        tastes, counts = settings.tastes, settings.counts
        return cls.taught(
            [examples(Pool(lesson.history, tastes, counts), lesson.bought, settings) for lesson in lessons], settings
        )

    @classmethod
    def taught(cls, parts: Sequence[Examples], settings: RankerSettings) -> Self:
        """Learn from what `examples` made of lessons, with the same settings; otherwise as `fit`."""
        rows = sum(len(part.labels) for part in parts)
        if not rows:
            raise ModelError(
                "ranker: nobody bought any of their candidates in any lesson, so there is nothing to learn."
            )
        matrix = np.concatenate([part.features for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        groups = np.concatenate([part.sizes for part in parts])
        trees = [
            Trees.grown(_parameters(settings, objective, rows), settings.trees, matrix, labels, groups, NAMES)
            for objective in OBJECTIVES
        ]
        counts = {"lessons": len(parts), "lists": len(groups), "pairs": rows, "bought": int(labels.sum())}
        return cls(trees, settings, _card(trees, _weights(trees, matrix), settings, counts))

    def score(self, features: Floats) -> NDArray[np.float64]:
        """A finite score above 0 for each row of a matrix with columns as NAMES. Works on one thread."""
        margins = np.zeros(len(features))
        for trees, weight in zip(self._trees, self._card["weights"], strict=True):
            margins += weight * trees.margins(features)
        return _exponential(margins)

    def best(
        self, customers: Codes, products: Codes, features: Floats, n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places of each customer's n pairs with the highest scores, and these; ordered by customer, score, product.

        The first trees choose who is scored by all: the others would hardly come among the first n, and cost the most.
        """
        first = self._trees[0].margins(features, FIRST_TREES)
        finalists = _highest(customers, products, first, max(n, FINALISTS))
        scores = self.score(features[finalists])
        chosen = _highest(customers[finalists], products[finalists], scores, n)
        return finalists[chosen], scores[chosen]

    def save(self, folder: Path) -> None:
        """Write trees and card into the folder; equal versions are equal bytes. Holds no customer's data."""
        for name, trees in zip(FILES, self._trees, strict=True):
            replace_file(folder / name, trees.write)
        write_json(folder / CARD, self._card | {"files": {name: sha256_of(folder / name) for name in FILES}})

    @classmethod
    def load(cls, folder: Path, threads: int = 0) -> Self:
        """Read what `save` wrote. Raises ModelError when a file is missing or changed, or knows other features."""
        if not (folder / CARD).is_file():
            raise ModelError(f"{folder / CARD}: missing, so the ranker is not complete. Train it again.")
        card = read_json(folder / CARD)
        if card["format"] != RANKER_FORMAT or card["features"] != list(NAMES):
            raise ModelError(f"{folder / CARD}: learnt from other features than these. Train the ranker again.")
        saved = card.pop("files")
        for name in FILES:
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: missing, so the ranker is not complete. Train it again.")
            if sha256_of(folder / name) != saved[name]:
                raise ModelError(f"{folder / name}: not the bytes that were saved. Train the ranker again.")
        kept = dict(card["settings"])
        tastes = Recommend(**kept.pop("tastes"), threads=threads)
        settings = RankerSettings(**kept | {"tastes": tastes, "counts": Counts(**kept["counts"])})
        return cls([Trees.read(folder / name) for name in FILES], settings, card)


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


def _highest(customers: Codes, products: Codes, scores: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    order = np.lexsort((products, -scores, customers))
    return order[place_in_run(customers[order]) < n]


def _exponential(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.clip(margins, -500, 500)), dtype=np.float64)


def _weights(trees: Sequence[Trees], features: Floats) -> list[float]:
    """Per objective what its margins are multiplied by: averaged in deviations, in the unit of the first that has any.

    Trees that tell no pair from another weigh nothing.
    """
    some = features[:: max(1, len(features) // MEASURED)]
    deviations = [float(each.margins(some).std()) for each in trees]
    unit = next((deviation for deviation in deviations if deviation > NOTHING_TOLD), 0.0)
    return [unit / deviation / len(trees) if deviation > NOTHING_TOLD else 0.0 for deviation in deviations]


def _parameters(settings: RankerSettings, objective: str, rows: int) -> dict[str, Any]:
    return {
        "objective": objective,
        "lambdarank_truncation_level": settings.truncation,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.pairs_per_leaf,
        "feature_fraction": settings.share_of_features,
        "bagging_fraction": settings.share_of_customers,
        "bagging_freq": 0 if settings.share_of_customers == 1 else 1,
        "bagging_by_query": True,
        "lambda_l2": settings.l2,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.tastes.threads if rows > FEW_PAIRS else 1,
        "verbosity": -1,
    }


def _card(
    trees: Sequence[Trees], weights: list[float], settings: RankerSettings, counts: dict[str, int]
) -> dict[str, Any]:
    learnt = {
        "format": RANKER_FORMAT,
        "features": list(NAMES),
        "weights": weights,
        "settings": settings.card(),
        "libraries": f"{LIBRARY}, numpy {np.__version__}",
    }
    text = json.dumps(learnt, sort_keys=True) + "".join(each.text for each in trees)
    return learnt | {"counts": counts, "model_version": f"ranker-{hashlib.sha256(text.encode()).hexdigest()[:12]}"}
