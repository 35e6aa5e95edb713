"""What last month's lists were worth, for the page: are they individual, and do they beat simple rivals?"""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from recsys.champion import CARD
from recsys.evaluation.scoreboard import SHIPPED, SPLIT_FURTHER
from recsys.evaluation.splits import BEFORE, NEW, STAGES
from recsys.files import read_json
from recsys.night import Night
from recsys.report.facts import Facts, attempt

Range = tuple[float, float | None, float | None]
"""Mean, and the ends of its 95 % interval."""

RIVAL_WORDS = {
    SHIPPED: "What the night ships",
    "als": "The model alone, then popular",
    "own_history": "Own history, then popular",
    "item_cosine": "Bought by the same customers, then popular",
    "segment_popular": "Popular in the segment",
    "popular": "Popular lately",
    "popular_all_time": "Popular of all time",
}
CONTEST_WORDS = {
    "champion": "The champion until then",
    "als": "The model alone, tuned",
    "two_stage_of_buyers": "Two stages for those who have bought",
    "two_stage": "Two stages",
    **{name: words for name, words in RIVAL_WORDS.items() if name not in {SHIPPED, "als"}},
}
SPLIT_WORDS = {
    "known": ("By how well customers were known before it", "Known of them", STAGES),
    "repeat": ("By whether products were new to them", "What they bought", [BEFORE, NEW]),
}
"""Split -> what it is, what its parts are, and these in order."""
TASK_WORDS = {"next": "What they bought next", "new": "The same, of products new to them"}


@dataclass(frozen=True)
class Made:
    """How the night makes its lists: `kind` of recipe, and what the weekly evaluation that chose it said.

    `settings`: those of the model that differ from the shop file, as text; `contest`: NDCG of what was bought next on
    the window that decided, the contestants first; `differences`: who less whom, and by how much, in the same.
    """

    kind: str
    run_date: str | None = None
    sentence: str = "No weekly evaluation has been run yet: the settings of the shop file hold."
    trials: int = 0
    window_begin: str = ""
    settings: str = ""
    contest: tuple[tuple[str, Range], ...] = ()
    differences: tuple[tuple[str, Range], ...] = ()


KIND_WORDS = {
    ("als", False): "the model alone",
    ("two_stage", False): "two stages, candidates and a ranker that orders them",
    ("two_stage", True): "two stages for those who have bought, the model alone for all others",
}
"""Kind of recipe, and whether its ranker is for buyers alone -> what it is."""


@dataclass(frozen=True)
class Part:
    """A part of a split: its customers, and how many of them the shipped, the popular and their own products hit."""

    name: str
    customers: int
    hits: tuple[Range, ...]


@dataclass(frozen=True)
class Worth:
    """One closed window. `numbers`: metric of the shipped lists -> range, `of_new` the same of products new to them;
    `tables`: per task the rows of the rivals; `splits`: what split, what parts, and the parts of it."""

    begin: date
    days: int
    customers: int
    sentence: str
    numbers: dict[str, Range]
    of_new: dict[str, Range]
    tables: dict[str, list[tuple[str, dict[str, Range]]]]
    splits: list[tuple[str, str, list[Part]]]
    made: Made


def read_worth(facts: Facts) -> tuple[Facts, Worth | None]:
    """What the evaluate stage left, or None when it has not run; the facts say it when it cannot be read."""
    if not (facts.night.evaluation / "card.json").is_file():
        return facts, None
    problems: list[str] = []
    worth = attempt(problems, "The evaluation", partial(_read, facts.night))
    return facts.with_problems(problems), worth


def _read(night: Night) -> Worth:
    card = read_json(night.evaluation / "card.json")
    every = pl.read_parquet(night.evaluation / "scores.parquet")
    scores = every.filter(pl.col("split") == "everybody")
    ranges = {
        (task, recommender, metric): (mean, low, high)
        for task, recommender, metric, mean, low, high in scores.select(
            "task", "recommender", "metric", "mean", "low", "high"
        ).iter_rows()
        if mean is not None
    }
    tables = {}
    for task, words in TASK_WORDS.items():
        rows = [
            (name, {metric: found for (of, by, metric), found in ranges.items() if of == task and by == recommender})
            for recommender, name in RIVAL_WORDS.items()
        ]
        tables[words] = [(name, metrics) for name, metrics in rows if "hit_rate" in metrics]
    return Worth(
        date.fromisoformat(card["window_begin"]),
        card["window_days"],
        card["customers"],
        card["sentence"],
        {metric: found for (task, by, metric), found in ranges.items() if task == "next" and by == SHIPPED},
        {metric: found for (task, by, metric), found in ranges.items() if task == "new" and by == SHIPPED},
        {words: rows for words, rows in tables.items() if rows},
        _splits(every),
        _made(night),
    )


def _splits(scores: pl.DataFrame) -> list[tuple[str, str, list[Part]]]:
    """Of what was bought next: the splits that were measured, each with those of its parts that have customers."""
    hits = scores.filter(pl.col("task") == "next", pl.col("metric") == "hit_rate")
    found = {
        (split, part, recommender): (customers, (mean, low, high))
        for split, part, recommender, customers, mean, low, high in hits.select(
            "split", "part", "recommender", "customers", "mean", "low", "high"
        ).iter_rows()
    }
    splits = []
    for split, (title, heading, names) in SPLIT_WORDS.items():
        parts = [
            Part(name, found[split, name, SHIPPED][0], tuple(found[split, name, one][1] for one in SPLIT_FURTHER))
            for name in names
            if (split, name, SHIPPED) in found
        ]
        if parts:
            splits.append((title, heading, parts))
    return splits


def _made(night: Night) -> Made:
    card = night.raw / "champion" / CARD
    recipe = night.recipe
    kind = KIND_WORDS[recipe.kind, recipe.only_buyers]
    if not card.is_file():
        return Made(kind)
    found = read_json(card)
    ndcg = {
        score["recommender"]: (score["mean"], score["low"], score["high"])
        for score in found["scores"]
        if (score["task"], score["metric"]) == ("next", "ndcg") and score["mean"] is not None
    }
    return Made(
        kind,
        found["run_date"],
        found["sentence"],
        len(found["trials"]),
        found["window_begin"],
        _said(found["champion"]["settings"]),
        tuple((words, ndcg[name]) for name, words in CONTEST_WORDS.items() if name in ndcg),
        tuple(
            (
                f"{CONTEST_WORDS[it['one']]}, compared with {CONTEST_WORDS[it['other']].lower()}",
                (it["mean"], it["low"], it["high"]),
            )
            for it in found.get("comparisons", [])
        ),
    )


def _said(settings: dict[str, Any]) -> str:
    """half_life_days 100, weights.view 0.1"""
    flat = {
        f"{name}.{part}" if part else name: one
        for name, value in sorted(settings.items())
        for part, one in (value.items() if isinstance(value, dict) else [("", value)])
    }
    return ", ".join(f"{name} {'unlimited' if value is None else value}" for name, value in flat.items())


def interval(found: Range) -> str:
    """A share with its interval in per cent: 12.3 % (11.0 to 13.6)."""
    mean, low, high = found
    tail = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * mean:.1f} %{tail}"
