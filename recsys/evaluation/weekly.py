"""The weekly evaluation: tunes the model, trains a ranker, and lets a challenger be champion only where it is proven.

Everything is chosen on closed windows before the last one, and judged on the last one.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from recsys import champion
from recsys.champion import CARD, HELD_OUT, RANKER, TUNED, Recipe
from recsys.errors import EvaluationError, ModelError, StageInputMissing
from recsys.evaluation.card import card_of
from recsys.evaluation.contest import Contestant, contest
from recsys.evaluation.fold import Fold, open_fold, orders_in
from recsys.evaluation.scoreboard import Scoreboard, tasks_of
from recsys.evaluation.tuning import Exercise, search
from recsys.evaluation.volume import degradation, lines_per_week
from recsys.files import private_folder, read_json, write_json
from recsys.lists import Features
from recsys.model_settings import Recommend
from recsys.night import Night
from recsys.quiet import only_warnings
from recsys.twostage.lessons import Examples, examples
from recsys.twostage.ranker import Ranker
from recsys.twostage.ranker_settings import RankerSettings

TUNED_ON = 2
"""Windows, the last ones before the one that decides."""

log = logging.getLogger("recsys")


def newest(root: Path) -> str:
    """run_date of the newest night below a data root whose features are made. Raises StageInputMissing without any."""
    made = sorted(path.parents[1].name for path in root.glob("nights/*/features/events.parquet"))
    if not made:
        raise StageInputMissing(f"{root}/nights: no night has its features. Run a night first.")
    return made[-1]


def run(night: Night, progress: Callable[[str], None] = log.info) -> dict[str, int | str]:
    """Write a folder below `published/champions/` and let `published/champion.json` name it; counts and the sentence.

    Needs a night whose features are made: it evaluates on what that night knew. Raises StageInputMissing without them,
    EvaluationError when there are not two closed windows in which known customers bought anything.
    """
    settings, days = night.shop.evaluate, night.shop.evaluate.window_days
    scratch = private_folder(night.folder / "weekly")
    with ExitStack() as stack, only_warnings("recsys.als"):
        folds: list[Fold] = []
        for back in range(1, settings.folds + 1):
            fold = stack.enter_context(open_fold(night, days, back))
            progress(f"tune: window {back} of {settings.folds}: {fold.bought.height:,} pairs bought")
            folds.append(fold)
        usable = [fold for fold in folds if not fold.bought.is_empty() and _knows_anything(fold)]
        if len(usable) < 2 or usable[0] is not folds[0]:
            raise EvaluationError(
                f"{len(usable)} of the last {settings.folds} windows of {days} days hold purchases of customers known "
                "before; two are needed, the last one among them. Wait for more data, or lower evaluate.window_days."
            )
        card = _held(night, usable, scratch, progress)
    folder = _keep(night, card, scratch)
    log.info("tune: %s", card["sentence"])
    if not champion.crown(night.published, folder):
        log.warning("tune: nights go on with the champion that was found on a later night than %s.", night.run_date)
    return {
        "champion": card["champion"]["kind"],
        "sentence": card["sentence"],
        "customers": card["customers"],
        "card": (folder / CARD).relative_to(night.shop.root).as_posix(),
    }


def _held(night: Night, folds: list[Fold], scratch: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """The card of the contest; rankers are left in `scratch`."""
    start = night.recommend
    last, *before = folds
    settings = _ranker_settings(start)
    exercises, lessons = _prepared(before, settings, progress)
    tuned, trials = search(exercises, start, night.shop.evaluate.trials, scratch / "trials.log", progress)
    has_ranker = _trained(lessons, settings, scratch / HELD_OUT, progress)
    recipes = {"als": Contestant(Recipe(kind="als", settings=_changed(tuned, night.shop.recommend)))}
    if has_ranker:
        two_stage = Recipe(kind="two_stage", settings=recipes["als"].recipe.settings)
        recipes["two_stage"] = Contestant(two_stage, scratch / HELD_OUT)
        of_buyers = two_stage.model_copy(update={"only_buyers": True})
        recipes["two_stage_of_buyers"] = Contestant(of_buyers, scratch / HELD_OUT)
    current = night.recipe
    held_out = (scratch if has_ranker else night.raw / "champion") / HELD_OUT
    recipes["champion"] = Contestant(current, held_out if current.kind == "two_stage" else None)
    progress("tune: contest on the last closed window")
    board = Scoreboard(last)
    result = contest(board, recipes, night.shop.recommend)
    weeks = lines_per_week(pl.read_parquet(night.features / "events.parquet"), night.run_date)
    windows = [orders_in(night, fold.night, fold.days).collect().height for fold in folds]
    fault = degradation(weeks, _weeks_of_champion(night), windows, last.days)
    if not result.customers:
        fault = fault or "nobody bought anything in the last window that is on offer"
    promoted = result.winner if fault is None else None
    kept = recipes[promoted].recipe if promoted else current
    if kept.kind == "two_stage" and has_ranker and fault is None:
        newest_lesson = examples(board.features.pool(settings), last.bought, settings)
        _trained([newest_lesson, *lessons], settings, scratch / RANKER, progress)
    card = card_of(night, last, len(folds), kept, promoted, result, trials)
    if fault is not None:
        card["sentence"] = f"Not judged, the champion stays: {fault}."
    return card | {
        "degraded": fault,
        "lines_per_week": weeks if fault is None else _weeks_of_champion(night) or {},
    }


def _knows_anything(fold: Fold) -> bool:
    return pl.scan_parquet(fold.night.features / "events.parquet").head(1).collect().height > 0


def _changed(tuned: Recommend, shop: Recommend) -> dict[str, Any]:
    one, other = tuned.model_dump(mode="json"), shop.model_dump(mode="json")
    return {name: one[name] for name in TUNED if one[name] != other[name]}


def _ranker_settings(start: Recommend) -> RankerSettings:
    defaults = RankerSettings()
    tastes = defaults.tastes.model_copy(update={"seed": start.seed, "threads": start.threads})
    return replace(defaults, tastes=tastes, seed=start.seed)


def _prepared(
    folds: list[Fold], settings: RankerSettings, progress: Callable[[str], None]
) -> tuple[list[Exercise], list[Examples]]:
    """What settings are tried on, and what rankers learn from; one fold in memory at a time."""
    exercises, lessons = [], []
    for place, fold in enumerate(folds):
        progress(f"tune: lesson {place + 1} of {len(folds)}")
        features = Features.of(fold.night)
        if place < TUNED_ON:
            exercises.append(Exercise.of(features, tasks_of(fold, features)[0]))
        try:
            lessons.append(examples(features.pool(settings), fold.bought, settings))
        except ModelError as error:
            log.warning("tune: no lesson: %s", error)
    return exercises, lessons


def _trained(lessons: list[Examples], settings: RankerSettings, folder: Path, progress: Callable[[str], None]) -> bool:
    """Train a ranker on these lessons into a folder; False when they have nothing to teach."""
    progress(f"tune: ranker of {len(lessons)} lessons")
    try:
        ranker = Ranker.taught(lessons, settings)
    except ModelError as error:
        log.warning("tune: no ranker: %s", error)
        return False
    ranker.save(private_folder(folder))
    return True


def _weeks_of_champion(night: Night) -> dict[str, int] | None:
    card = night.raw / "champion" / CARD
    return read_json(card)["lines_per_week"] or None if card.is_file() else None


def _keep(night: Night, card: dict[str, Any], scratch: Path) -> Path:
    """The finished folder of the champion, under a name that says what is in it."""
    text = json.dumps(card, sort_keys=True)
    name = f"{card['run_date']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder = night.published / "champions" / name
    aside = private_folder(folder.with_name(f".{name}"))
    if card["champion"]["kind"] == "two_stage":
        source = scratch if (scratch / RANKER / CARD).is_file() else night.raw / "champion"
        for part in (RANKER, HELD_OUT):
            shutil.copytree(source / part, aside / part, dirs_exist_ok=True)
    write_json(aside / CARD, card)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    shutil.rmtree(scratch)
    return folder
