"""The card of a weekly evaluation: all that somebody needs who asks later what was chosen, from what, and why."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recsys import dbt
from recsys.champion import Recipe
from recsys.evaluation.contest import Result
from recsys.evaluation.fold import Fold
from recsys.night import Night

LIBRARIES = ("recsys", "implicit", "lightgbm", "optuna", "numpy")


def card_of(
    night: Night,
    last: Fold,
    windows: int,
    kept: Recipe,
    promoted: str | None,
    result: Result,
    trials: list[dict[str, Any]],
) -> dict[str, Any]:
    """The card as JSON has it, but for the volume of data and its faults, which `weekly` adds.

    `settings` are those that hold with this champion, whole; `last` is the window that decided, one of `windows`.
    """
    return {
        "run_date": night.run_date.isoformat(),
        "champion": kept.model_dump(mode="json"),
        "settings": kept.over(night.shop.recommend).model_dump(mode="json"),
        "promoted": promoted,
        "sentence": result.sentence,
        "window_begin": last.begin.isoformat(),
        "window_days": last.days,
        "windows": windows,
        "customers": result.customers,
        "comparisons": result.comparisons,
        "scores": result.scores,
        "trials": trials,
        "code": code_digest(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def code_digest() -> str:
    """16 hex digits of all Python of this package and all SQL of the dbt project: equal ones ran the same code."""
    digest = hashlib.sha256()
    for folder, pattern in ((Path(__file__).resolve().parents[1], "*.py"), (dbt.project_folder(), "*.sql")):
        for path in sorted(folder.rglob(pattern)):
            text = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]
