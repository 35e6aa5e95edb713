"""Are the lists individual, or segments in disguise? Two numbers and the sentence that follows from them.

Taste-swap gain: the hit rate with one's own taste less the hit rate with the taste of a random other customer of the
same segment, each with one's own filters; the swap comes before the filter. A segment list has exactly 0. Lift over
segment: the hit rate of the lists that ship less that of the segment's popular products, same filters, same window.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.evaluation.interval import paired_intervals
from recsys.evaluation.metrics import accuracy
from recsys.models.als import AlsModel
from recsys.models.recommender import LIST_SCHEMA, Recommender
from recsys.ranking import numbered
from recsys.twostage.ranked import Ranked

FEWEST = 30
"""Of fewer customers who bought anything no sentence is made: their interval says next to nothing."""
SWAPS = 5
"""Others whose taste each customer gets in turn; more make the interval narrower."""

IN_DISGUISE = "Segmentation in disguise: with another customer's taste the lists hit as often or more."
AND_SEGMENT_WINS = " The segment list wins: use it."
SEGMENT_WINS = "Individual signal, but the segment list still wins: use it."
INDIVIDUAL_PAYS = "Individual pays offline; confirm with the control group."
NOT_MEASURED = "Not measured: nothing to measure on, or evaluate.nightly is off."


@dataclass(frozen=True)
class Individuality:
    """`gain` and `lift` are (mean, low, high) in hit rate, null where there is nothing to measure.

    `customers`: how many bought anything in the window.
    """

    customers: int
    gain: tuple[float | None, float | None, float | None]
    lift: tuple[float | None, float | None, float | None]

    @property
    def sentence(self) -> str:
        """What follows from the two numbers; noise counts as nothing, and few customers are not judged."""
        if self.customers < FEWEST:
            return f"Not judged: {self.customers} customers bought anything in the window, {FEWEST} are needed."
        if self.gain[1] is None or self.lift[1] is None:
            return NOT_MEASURED
        if self.gain[1] <= 0:
            return IN_DISGUISE + (AND_SEGMENT_WINS if (self.lift[2] or 0) < 0 else "")
        return INDIVIDUAL_PAYS if self.lift[1] > 0 else SEGMENT_WINS


def partners(customers: pl.Series, segments: pl.DataFrame, seed: int) -> pl.DataFrame:
    """customer_id, taste_of: for each customer a random other one of the same segment, ordered by customer_id.

    `segments` (customer_id, segment) has one row per customer. Nobody is their own partner; each is the partner of
    exactly one. A customer who is alone in a segment, or in none, has no row.
    """
    order = pl.Series("place", np.random.default_rng(seed).permutation(len(customers)))
    return (
        customers.unique()
        .sort()
        .to_frame("customer_id")
        .with_columns(order)
        .join(segments.select("customer_id", "segment"), on="customer_id")
        .sort("segment", "place")
        .with_columns(
            taste_of=pl.coalesce(
                pl.col("customer_id").shift(-1).over("segment"), pl.col("customer_id").first().over("segment")
            )
        )
        .filter(pl.col("customer_id") != pl.col("taste_of"))
        .select("customer_id", "taste_of")
        .sort("customer_id")
    )


@dataclass(frozen=True)
class Swap:
    """Customers with their own taste and, in turn, with those of SWAPS random others of the same segment.

    `themselves` and each of `others` (customer_id, taste_of), ordered by customer_id: those who have a partner among
    everybody with a taste. `said` is what a ranker says of each of the tastes before anything is excluded
    (LIST_SCHEMA), None without a ranker: then the model's tastes are swapped, else what the ranker says, and the model
    goes on where it ends.
    """

    model: AlsModel
    themselves: pl.DataFrame
    others: tuple[pl.DataFrame, ...]
    said: pl.DataFrame | None

    @classmethod
    def of(
        cls,
        model: AlsModel,
        segments: pl.DataFrame,
        customers: pl.Series,
        seed: int,
        of_everything: Callable[[pl.Series], pl.DataFrame | None] = lambda _: None,
    ) -> "Swap":
        """The swaps of these customers; `segments` as for `partners`."""
        drawn = [partners(model.customers, segments, seed + swap) for swap in range(SWAPS)]
        swapped = customers.unique().sort().to_frame("customer_id").join(drawn[0], on="customer_id", how="semi")
        themselves = swapped.with_columns(taste_of="customer_id").sort("customer_id")
        others = tuple(of_all.join(swapped, on="customer_id", how="semi") for of_all in drawn)
        said = of_everything(pl.concat([themselves, *others]).get_column("taste_of").unique().sort())
        return cls(model, themselves, others, said)

    def gain(
        self, bought: pl.DataFrame, candidates: pl.Series, excluded: pl.DataFrame, k: int, seed: int
    ) -> pl.DataFrame:
        """The gain as INTERVAL_SCHEMA: one row, metric `taste_swap_gain`, of those of the customers who bought.

        `bought` (customer_id, product_id) is what they bought in the window, `excluded` what may not be named to whom.
        No customers: a row with nulls.
        """
        judged = self.themselves.join(bought, on="customer_id", how="semi").get_column("customer_id")

        def hits(tastes: pl.DataFrame) -> pl.DataFrame:
            one: Recommender = self.model.with_tastes_of(tastes)
            if self.said is not None:
                theirs = tastes.join(self.said.rename({"customer_id": "taste_of"}), on="taste_of")
                one = Ranked(theirs.select(LIST_SCHEMA.names()), one)
            lists = numbered(one.recommend(judged, candidates, excluded, k), k)
            return accuracy(lists, bought, judged, k).select("customer_id", taste_swap_gain="hit_rate")

        swapped = pl.concat(hits(tastes) for tastes in self.others)
        means = swapped.group_by("customer_id").agg(pl.mean("taste_swap_gain"))
        return paired_intervals(hits(self.themselves), means, seed)


def lift_over_segment(shipped: pl.DataFrame, segment: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The lift as INTERVAL_SCHEMA (one row, metric `lift_over_segment`), from two results of `accuracy`."""
    one, other = (frame.select("customer_id", lift_over_segment="hit_rate") for frame in (shipped, segment))
    return paired_intervals(one, other, seed)
