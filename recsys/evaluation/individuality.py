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

SWAPS = 5
"""Others whose taste each customer gets in turn; more make the interval narrower."""

IN_DISGUISE = "Segmentation in disguise: with another customer's taste the lists hit as often."
SEGMENT_WINS = "Individual signal, but the segment list still wins: use it."
INDIVIDUAL_PAYS = "Individual pays offline; confirm with the control group."
NOT_MEASURED = "Not measured: nothing to measure on, or evaluate.nightly is off."


@dataclass(frozen=True)
class Individuality:
    """`gain` and `lift` are (mean, low, high) in hit rate, null where there is nothing to measure."""

    gain: tuple[float | None, float | None, float | None]
    lift: tuple[float | None, float | None, float | None]

    @property
    def sentence(self) -> str:
        """What follows from the two numbers; noise counts as nothing."""
        if self.gain[1] is None or self.lift[1] is None:
            return NOT_MEASURED
        if self.gain[1] <= 0:
            return IN_DISGUISE
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


def taste_swap_gain(
    model: AlsModel,
    segments: pl.DataFrame,
    bought: pl.DataFrame,
    candidates: pl.Series,
    excluded: pl.DataFrame,
    k: int,
    seed: int,
    of_everything: Callable[[pl.Series], pl.DataFrame | None] = lambda _: None,
) -> pl.DataFrame:
    """The gain as INTERVAL_SCHEMA: one row, metric `taste_swap_gain`.

    `bought` (customer_id, product_id) is what they bought in the window, `excluded` what may not be named to whom.
    The other's taste is drawn SWAPS times from everybody with a taste. No customers: a row with nulls. `of_everything`
    gives what a ranker says of customers before anything is excluded (LIST_SCHEMA): then this is what is swapped, and
    the model goes on where it ends.
    """
    drawn = [partners(model.customers, segments, seed + swap) for swap in range(SWAPS)]
    judged = bought.get_column("customer_id").unique().sort()
    judged = judged.filter(judged.is_in(drawn[0].get_column("customer_id").implode()))

    themselves = judged.to_frame("customer_id").with_columns(taste_of="customer_id")
    drawn = [others.join(judged.to_frame("customer_id"), on="customer_id", how="semi") for others in drawn]
    said = of_everything(pl.concat([themselves, *drawn]).get_column("taste_of").unique().sort())

    def hits(others: pl.DataFrame) -> pl.DataFrame:
        one: Recommender = model.with_tastes_of(others)
        if said is not None:
            theirs = others.join(said.rename({"customer_id": "taste_of"}), on="taste_of")
            one = Ranked(theirs.select(LIST_SCHEMA.names()), one)
        lists = numbered(one.recommend(judged, candidates, excluded, k), k)
        return accuracy(lists, bought, judged, k).select("customer_id", taste_swap_gain="hit_rate")

    own = hits(themselves)
    swapped = pl.concat(hits(others) for others in drawn)
    return paired_intervals(own, swapped.group_by("customer_id").agg(pl.mean("taste_swap_gain")), seed)


def lift_over_segment(shipped: pl.DataFrame, segment: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The lift as INTERVAL_SCHEMA (one row, metric `lift_over_segment`), from two results of `accuracy`."""
    one, other = (frame.select("customer_id", lift_over_segment="hit_rate") for frame in (shipped, segment))
    return paired_intervals(one, other, seed)
