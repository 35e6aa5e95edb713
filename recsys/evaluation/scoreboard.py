"""What the lists of a fold are worth: the night's own beside simple rivals, on two tasks, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.evaluation import exposure
from recsys.evaluation.fold import Fold
from recsys.evaluation.interval import INTERVAL_SCHEMA, intervals
from recsys.evaluation.metrics import accuracy
from recsys.evaluation.rivals import ItemCosine, OwnHistory, segment_popular
from recsys.evaluation.splits import Splits
from recsys.lists import Features, Learnt
from recsys.models.matrix import PAIR
from recsys.models.popular import PopularList
from recsys.models.recommender import Recommender
from recsys.ranking import eligible

MOST_CUSTOMERS = 20_000
"""More than this are sampled: the intervals are narrow enough, and the time does not grow."""

SHIPPED = "shipped"
SEGMENT = "segment_popular"
POPULAR = "popular"
SPLIT_FURTHER = (SHIPPED, POPULAR, "own_history")
"""Whose scores are split by how well customers are known, and by products that are new to them or not, too."""

Part = tuple[str, str, pl.DataFrame]

SCORES_SCHEMA = pl.Schema(
    {
        "task": pl.String(),
        "recommender": pl.String(),
        "split": pl.String(),
        "part": pl.String(),
        **INTERVAL_SCHEMA,
    }
)
"""One row per task, recommender, split, part of it and metric. `split`: everybody, history, segment, known, repeat."""


@dataclass(frozen=True)
class Task:
    """What is to be found: `relevant` (customer_id, product_id), and what nobody may be named, `excluded`."""

    name: str
    relevant: pl.DataFrame
    excluded: pl.DataFrame
    may_repeat: bool
    """Whether products that the customer had are to be found as well."""

    @property
    def customers(self) -> pl.Series:
        """customer_ids with anything to be found, ordered."""
        return self.relevant.get_column("customer_id").unique().sort()


def tasks_of(fold: Fold, features: Features) -> list[Task]:
    """`next`: what was bought next; `new`: the same of products new to the customer.

    Lists keep the night's own filters in both, but these take nothing from what is to be found: a rule that bars what
    customers buy after all shows as a miss, of every recommender alike.
    """
    bought = fold.bought.filter(pl.col("product_id").is_in(eligible(features.products).implode()))
    people = bought.get_column("customer_id").unique().sort()
    if len(people) > MOST_CUSTOMERS:
        drawn = np.random.default_rng(features.settings.seed).choice(len(people), MOST_CUSTOMERS, replace=False)
        bought = bought.filter(pl.col("customer_id").is_in(people.gather(np.sort(drawn)).implode()))
    had = features.interactions.filter("is_bought").select(PAIR)
    return [
        Task("next", bought, features.excluded, may_repeat=True),
        Task("new", bought.join(had, on=PAIR, how="anti"), had, may_repeat=False),
    ]


class Scoreboard:
    """The simple rivals of one fold, trained on its features alone, and what there is to be found."""

    def __init__(self, fold: Fold) -> None:
        self.features = features = Features.of(fold.night)
        self.k, self.seed = features.settings.k, features.settings.seed
        self.candidates = eligible(features.products)
        weighted = features.weighted
        popular = PopularList(features.popularity)
        self.splits = Splits.of(features)
        self.segments = self.splits.segments
        by_ever = features.popularity.sort("buyers_ever", "rank", descending=[True, False])
        ever = by_ever.select("product_id", rank=pl.int_range(1, pl.len() + 1))
        self.rivals: dict[str, Recommender] = {
            "popular_all_time": PopularList(ever),
            POPULAR: popular,
            SEGMENT: segment_popular(self.segments, self.splits.bought, features.popularity),
            "own_history": OwnHistory(weighted),
            "item_cosine": ItemCosine(weighted),
        }
        self._popular = popular
        self.tasks = tasks_of(fold, features)

    def lists(self, task: Task, learnt: Learnt) -> Iterator[tuple[str, pl.DataFrame]]:
        """Every recommender's name and its lists (customer_id, rank, product_id) for the task's customers."""
        for name, rival in self.rivals.items():
            yield name, self.listed(rival, task)
        yield "als", self.listed(learnt.model, task)
        made = learnt.lists(task.customers, task.excluded)
        yield SHIPPED, made.select("customer_id", "rank", "product_id")

    def listed(self, rival: Recommender, task: Task) -> pl.DataFrame:
        """A recommender's lists (customer_id, rank, product_id) for the task's customers, then what is popular.

        Under the task's filter and all rules and limits that hold for the shipped lists.
        """
        made = self.features.lists(rival, self._popular, task.customers, task.excluded)
        return made.select("customer_id", "rank", "product_id")

    def judged(self, task: Task, lists: pl.DataFrame) -> pl.DataFrame:
        """The result of `accuracy` for lists of the task's customers."""
        return accuracy(lists, task.relevant, task.customers, self.k)

    def scores(self, learnt: Learnt) -> tuple[pl.DataFrame, dict[tuple[str, str], pl.DataFrame]]:
        """SCORES_SCHEMA, and per task and recommender the result of `accuracy`.

        `learnt` is what the shipped lists are made from; its ranker, if any, must not know the window.
        """
        rows, judged = [SCORES_SCHEMA.to_frame()], {}
        for task in self.tasks:
            for name, lists in self.lists(task, learnt):
                values = self.judged(task, lists)
                judged[task.name, name] = values
                for split, part, of_part in self._parts(task, name, lists, values):
                    found = intervals(of_part, self.seed)
                    rows.append(labelled(found, task.name, name, split, part))
                rows.append(labelled(self.exposure(lists), task.name, name, "everybody", ""))
        return pl.concat(rows), judged

    def _parts(self, task: Task, name: str, lists: pl.DataFrame, values: pl.DataFrame) -> Iterator[Part]:
        """Split, part, and what `accuracy` says of it."""
        yield "everybody", "", values
        yield from self.splits.by_customer(values)
        if name not in SPLIT_FURTHER:
            return
        yield from self.splits.by_stage(values)
        for split, part, pairs in self.splits.by_product(task.relevant) if task.may_repeat else ():
            yield split, part, accuracy(lists, pairs, pairs.get_column("customer_id").unique().sort(), self.k)

    def exposure(self, lists: pl.DataFrame) -> pl.DataFrame:
        """INTERVAL_SCHEMA of lists: novelty, diversity, and of all together coverage and gini, without an interval."""
        products, vectors = exposure.topic_vectors(self.features.product_topics)
        per_customer = {
            "novelty": exposure.novelty(lists, self.features.interactions),
            "diversity": exposure.diversity(lists, products, vectors),
        }
        found = [intervals(frame.drop_nulls(), self.seed) for frame in per_customer.values()]
        of_all = {
            "coverage": exposure.coverage(lists, self.candidates),
            "gini": exposure.gini(lists, self.candidates),
        }
        customers = lists.get_column("customer_id").n_unique()
        found.append(
            pl.DataFrame(
                [(name, customers, value, None, None) for name, value in of_all.items()],
                schema=INTERVAL_SCHEMA,
                orient="row",
            )
        )
        return pl.concat(found)


def labelled(found: pl.DataFrame, task: str, recommender: str, split: str, part: str) -> pl.DataFrame:
    """INTERVAL_SCHEMA as SCORES_SCHEMA."""
    labels = {"task": task, "recommender": recommender, "split": split, "part": part}
    return found.select(*(pl.lit(text).alias(name) for name, text in labels.items()), pl.all())
