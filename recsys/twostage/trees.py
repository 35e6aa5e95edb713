"""Boosted trees, computed by LightGBM. The only module that talks to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from recsys.twostage.purchases import Floats

LIBRARY = f"lightgbm {lightgbm.__version__}"


class Trees:
    """Trees of one objective, whose leaves add up to a margin. Equal texts are equal trees."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._booster = lightgbm.Booster(model_str=text)

    @classmethod
    def grown(
        cls,
        parameters: Mapping[str, Any],
        count: int,
        features: Floats,
        labels: Floats,
        sizes: NDArray[np.int64],
        names: tuple[str, ...],
    ) -> Self:
        """As many trees over rows of features (columns as names) and labels, lists of these sizes after each other.

        The text leaves the parameters out, of which one is the number of threads: the trees are the same for any.
        """
        fixed = dict(parameters)
        lists = sizes if fixed["objective"] == "lambdarank" else None
        data = lightgbm.Dataset(features, labels, group=lists, feature_name=list(names), params=fixed)
        text = str(lightgbm.train(fixed, data, count).model_to_string())
        return cls(text.split("\nparameters:", 1)[0] + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        return cls(path.read_text(encoding="utf-8"))

    def write(self, path: Path) -> None:
        """The text alone; equal trees are equal bytes."""
        path.write_text(self.text, encoding="utf-8")

    def margins(self, features: Floats, count: int = -1) -> NDArray[np.float64]:
        """One number per row, of the first trees or of all. Works on one thread."""
        if not len(features):
            return np.zeros(0, dtype=np.float64)
        margins = self._booster.predict(features, num_iteration=count, raw_score=True, num_threads=1)
        return np.asarray(margins, dtype=np.float64)
