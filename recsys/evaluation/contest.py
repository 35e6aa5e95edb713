"""Who is to be champion: recipes for lists, held against each other and simple rivals on one closed window."""

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from recsys.champion import Recipe
from recsys.evaluation.interval import intervals, paired_intervals
from recsys.evaluation.scoreboard import Scoreboard, Task
from recsys.lists import Features, Learnt, model_of
from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.ranking import eligible
from recsys.twostage.ranker import Ranker

JUDGED_BY = "ndcg"
CHAMPION = "champion"
CHALLENGERS = {
    "als": "the model alone, tuned",
    "two_stage_of_buyers": "two stages for those who have bought",
    "two_stage": "two stages",
}
"""Name -> what it is; from the simplest on."""


@dataclass(frozen=True)
class Contestant:
    """A recipe, and the folder of the ranker that it orders by, if any; it must know nothing of the window."""

    recipe: Recipe
    ranker: Path | None = None

    def learnt(self, features: Features, shop: Recommend, models: dict[str, AlsModel]) -> Learnt:
        """What it learns from a fold's features. `models`: those learnt by others before it, by their settings."""
        settings = self.recipe.over(shop)
        name = settings.model_dump_json()
        if name not in models:
            model = model_of(features.history, settings)
            models[name] = model.with_products(eligible(features.products), features.product_topics)
        ranker = Ranker.load(self.ranker, settings.threads) if self.ranker else None
        return Learnt(replace(features, settings=settings), models[name], ranker, self.recipe.only_buyers)


@dataclass(frozen=True)
class Result:
    """`winner`: the challenger to be promoted, None when the champion stays. `scores`: per name, task and metric.

    `comparisons`: challengers with simpler ones, the one that is left with the champion; `one` less `other`, paired.
    """

    winner: str | None
    sentence: str
    customers: int
    scores: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]


def contest(board: Scoreboard, contestants: dict[str, Contestant], shop: Recommend) -> Result:
    """Judge by NDCG at k of what was bought next. One of `contestants` is called `champion`.

    Of the challengers, in the order of CHALLENGERS, a later one goes before an earlier one only where it is better
    beyond noise (the 95 % interval of the paired difference is above 0); the one that is left is promoted where it
    beats the champion beyond noise. Two stages that are not better than the model alone beyond noise, neither those of
    the champion nor new ones, give way to it. The sentence also says how what holds compares with the best simple one.
    """
    scores: list[dict[str, Any]] = []
    judged: dict[str, pl.DataFrame] = {}
    models: dict[str, AlsModel] = {}
    learners = {name: contestant.learnt(board.features, shop, models) for name, contestant in contestants.items()}
    for task in board.tasks:
        rivals = ((name, board.listed(rival, task)) for name, rival in board.rivals.items())
        learnt = ((name, one.lists(task.customers, task.excluded)) for name, one in learners.items())
        for name, lists in chain(rivals, learnt):
            values = board.judged(task, lists)
            scores += _scores(board, task, name, lists, values)
            if task is board.tasks[0]:
                judged[name] = values.select("customer_id", JUDGED_BY)
    has_ranker = contestants[CHAMPION].recipe.kind == "two_stage"
    winner, sentence, comparisons = verdict(judged, list(board.rivals), board.seed, has_ranker=has_ranker)
    found = {"task": board.tasks[0].name, "metric": JUDGED_BY}
    return Result(winner, sentence, len(board.tasks[0].customers), scores, [found | one for one in comparisons])


def verdict(
    judged: dict[str, pl.DataFrame], rivals: list[str], seed: int, *, has_ranker: bool
) -> tuple[str | None, str, list[dict[str, Any]]]:
    """Winner, sentence and comparisons of `judged`: name -> customer_id and how good the list was, the same customers.

    `rivals` are the names of the simple ones; `has_ranker`: the champion is of two stages.
    """
    comparisons: list[dict[str, Any]] = []

    def gain(one: str, other: str) -> tuple[float, str]:
        """The low end of `one` less `other`, and all of it in words."""
        found = paired_intervals(judged[one], judged[other], seed).select("mean", "low", "high").row(0)
        mean, low, high = (round(value or 0.0, 6) for value in found)
        comparisons.append({"one": one, "other": other, "mean": mean, "low": low, "high": high})
        return low, f"NDCG {mean:+.4f} ({low:+.4f} to {high:+.4f})"

    challenger, *others = (name for name in CHALLENGERS if name in judged)
    for name in others:
        if gain(name, challenger)[0] > 0:
            challenger = name
    words, (low, said) = CHALLENGERS[challenger], gain(challenger, CHAMPION)
    winner, first = None, f"The champion stays: {words} is not better beyond noise, {said} against the champion"
    if low > 0:
        winner, first = challenger, f"Promoted: {words}, {said} against the champion"
    elif challenger == "als" and has_ranker:
        low, said = gain(CHAMPION, "als")
        if low <= 0:
            winner, first = "als", f"Back to {words}: the champion's two stages are not better beyond noise, {said}"
    best = max(rivals, key=lambda name: judged[name].get_column(JUDGED_BY).sum())
    low, said = gain(winner or CHAMPION, best)
    second = (
        f"{'Better' if low > 0 else 'Not better'} beyond noise than the best simple rival, {best.replace('_', ' ')}"
    )
    return winner, f"{first} on the last closed window. {second}: {said}.", comparisons


def _scores(
    board: Scoreboard, task: Task, name: str, lists: pl.DataFrame, values: pl.DataFrame
) -> list[dict[str, Any]]:
    """Accuracy and exposure of lists, rounded for people."""
    both = pl.concat([intervals(values, board.seed), board.exposure(lists)])
    found = both.with_columns(pl.col("mean", "low", "high").round(6))
    return [{"task": task.name, "recommender": name} | row for row in found.to_dicts()]
