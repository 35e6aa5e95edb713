"""The second stage: trees of two objectives, whose margins are averaged.

They learn, from a few older moments, which candidates customers bought in the days after: LambdaMART (Burges 2010) how
to order a list, logistic trees how likely each purchase is. A deviation of the one's margins counts as one of the
other's. The score of a pair is the exponential of its margin, so that scores are above 0 and a factor on a score is a
step of its margin.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recsys.champion import RANKER_FORMAT
from recsys.errors import ModelError
from recsys.files import read_json, replace_file, sha256_of, write_json
from recsys.model_settings import Recommend
from recsys.twostage.candidates import Counts
from recsys.twostage.features import NAMES
from recsys.twostage.lessons import Examples, Lesson, examples
from recsys.twostage.pool import Pool
from recsys.twostage.purchases import Codes, Floats, place_in_run
from recsys.twostage.ranker_settings import RankerSettings
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
