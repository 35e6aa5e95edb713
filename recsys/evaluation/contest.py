"""Who is to be champion: recipes for lists, held against each other and simple rivals on one closed window."""

from dataclasses import dataclass, replace
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
        only_buyers = self.recipe.ranked == "buyers"
        return Learnt(replace(features, settings=settings), models[name], ranker, only_buyers)


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
        for name, rival in board.rivals.items():
            lists = board.listed(rival, task)
            values = board.judged(task, lists)
            scores += _scores(board, task, name, lists, values)
            if task is board.tasks[0]:
                judged[name] = values
        for name, learnt in learners.items():
            lists = learnt.lists(task.customers, task.excluded).select("customer_id", "rank", "product_id")
            values = board.judged(task, lists)
            scores += _scores(board, task, name, lists, values)
            if task is board.tasks[0]:
                judged[name] = values
    comparisons: list[dict[str, Any]] = []

    def gain(one: str, other: str) -> tuple[float, float, float]:
        mean, low, high = (round(value, 6) for value in _gain(judged[one], judged[other], board.seed))
        found = {"one": one, "other": other, "task": board.tasks[0].name, "metric": JUDGED_BY}
        comparisons.append(found | {"mean": mean, "low": low, "high": high})
        return mean, low, high

    challenger, *others = (name for name in CHALLENGERS if name in judged)
    for name in others:
        if gain(name, challenger)[1] > 0:
            challenger = name
    against = gain(challenger, CHAMPION)
    words, winner = CHALLENGERS[challenger], challenger if against[1] > 0 else None
    sentence = f"The champion stays: {words} is not better beyond noise, {_said(against)} against the champion"
    if winner:
        sentence = f"Promoted: {words}, {_said(against)} against the champion"
    elif challenger == "als" and contestants[CHAMPION].recipe.kind == "two_stage":
        ranked = gain(CHAMPION, "als")
        if ranked[1] <= 0:
            winner = "als"
            sentence = (
                f"Back to {words}: the champion's two stages are not better beyond noise, {_said(ranked)} against it"
            )
    best = max(board.rivals, key=lambda name: judged[name].get_column(JUDGED_BY).sum())
    last = gain(winner or CHAMPION, best)
    proven = "Better" if last[1] > 0 else "Not better"
    sentence += (
        f" on the last closed window. {proven} beyond noise than the best simple rival, {best.replace('_', ' ')}"
    )
    sentence += f": {_said(last)}."
    return Result(winner, sentence, len(board.tasks[0].customers), scores, comparisons)


def _said(gain: tuple[float, float, float]) -> str:
    mean, low, high = gain
    return f"NDCG {mean:+.4f} ({low:+.4f} to {high:+.4f})"


def _gain(one: pl.DataFrame, other: pl.DataFrame, seed: int) -> tuple[float, float, float]:
    columns = ("customer_id", JUDGED_BY)
    found = paired_intervals(one.select(columns), other.select(columns), seed)
    mean, low, high = found.select("mean", "low", "high").row(0)
    return (mean or 0.0, low or 0.0, high or 0.0)


def _scores(
    board: Scoreboard, task: Task, name: str, lists: pl.DataFrame, values: pl.DataFrame
) -> list[dict[str, Any]]:
    """Accuracy and exposure of lists, rounded for people."""
    both = pl.concat([intervals(values, board.seed), board.exposure(lists)])
    found = both.with_columns(pl.col("mean", "low", "high").round(6))
    return [{"task": task.name, "recommender": name} | row for row in found.to_dicts()]
