"""Are lists individual? On people whose tastes are known, because they were made up here."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.evaluation.individuality import (
    AND_SEGMENT_WINS,
    FEWEST,
    IN_DISGUISE,
    INDIVIDUAL_PAYS,
    NOT_MEASURED,
    SEGMENT_WINS,
    Individuality,
    Swap,
    lift_over_segment,
    partners,
)
from recsys.evaluation.metrics import accuracy
from recsys.evaluation.rivals import OwnHistory, Then, segment_popular
from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList
from recsys.ranking import numbered

SEGMENTS, MEMBERS, PRODUCTS, BEFORE, AFTER = 4, 150, 40, 12, 4
K = 5


def shop(own: float, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Purchases before and after, and segments. Each segment has its own products, some more popular than others.

    A share `own` of a customer's purchases comes from four products of the segment that are theirs alone to prefer;
    the rest is drawn like everybody's in the segment.
    """
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, PRODUCTS + 1)
    popularity /= popularity.sum()
    before, after, segments = [], [], []
    for segment in range(SEGMENTS):
        for member in range(MEMBERS):
            customer = f"c{segment}{member:03}"
            segments.append((customer, str(segment)))
            favourites = random.choice(PRODUCTS, 4, replace=False)
            for rows, count in ((before, BEFORE), (after, AFTER)):
                common = random.choice(PRODUCTS, count, p=popularity)
                drawn = np.where(random.random(count) < own, random.choice(favourites, count), common)
                rows += [(customer, f"p{segment}{product:02}") for product in drawn]
    pairs = {"customer_id": pl.String, "product_id": pl.String}
    counted = pl.DataFrame(before, schema=pairs, orient="row").group_by("customer_id", "product_id")
    return (
        counted.agg(weight=pl.len().cast(pl.Float64)),
        pl.DataFrame(after, schema=pairs, orient="row").unique(),
        pl.DataFrame(segments, schema={"customer_id": pl.String, "segment": pl.String}, orient="row"),
    )


def measured(own: float, ranker: str | None = None) -> Individuality:
    """`ranker`: its lists are the segment's popular products, for everybody in it alike, or each one's own history."""
    before, after, segments = shop(own)
    products = pl.concat([before, after], how="diagonal").get_column("product_id").unique().sort()
    everybody = segments.get_column("customer_id")
    ranks = before.group_by("product_id").len().sort("len", "product_id", descending=[True, False])
    popularity = ranks.select("product_id", rank=pl.int_range(1, pl.len() + 1))
    model = AlsModel.fit(before, Recommend(factors=16, alpha=5.0, regularization=0.1))
    nobody = before.clear().select("customer_id", "product_id")
    popular = PopularList(popularity)
    in_segment = segment_popular(segments, before, popularity)
    rankers = {"segment": in_segment, "own": OwnHistory(before)}

    def of_everything(customers: pl.Series) -> pl.DataFrame | None:
        return rankers[ranker].recommend(customers, products, nobody, 20) if ranker else None

    gain = Swap.of(model, segments, everybody, 1, of_everything).gain(after, products, nobody, K, 1)

    def judged(recommender):
        return accuracy(numbered(recommender.recommend(everybody, products, nobody, K), K), after, everybody, K)

    lift = lift_over_segment(judged(Then(model, popular)), judged(in_segment), seed=1)
    return Individuality(len(everybody), *(frame.select("mean", "low", "high").row(0) for frame in (gain, lift)))


def test_without_taste_of_their_own_the_gain_is_nothing_and_the_sentence_says_so() -> None:
    found = measured(own=0.0)
    assert found.gain[1] <= 0 <= found.gain[2]
    assert found.sentence.startswith(IN_DISGUISE)


def test_with_strong_taste_both_are_clearly_positive() -> None:
    found = measured(own=0.8)
    assert found.gain[1] > 0.3
    assert found.lift[1] > 0.1
    assert found.sentence == INDIVIDUAL_PAYS


def test_a_ranker_is_what_is_swapped_where_there_is_one() -> None:
    assert measured(own=0.8, ranker="segment").gain == (0, 0, 0)
    assert measured(own=0.8, ranker="own").gain[1] > 0.3
    without = measured(own=0.0, ranker="own").gain
    assert without[1] <= 0 <= without[2]


@pytest.mark.parametrize(
    ("gain", "lift", "sentence"),
    [
        ((0.02, -0.01, 0.05), (0.2, 0.1, 0.3), IN_DISGUISE),
        ((-0.2, -0.3, -0.1), (-0.2, -0.3, -0.1), IN_DISGUISE + AND_SEGMENT_WINS),
        ((0.2, 0.1, 0.3), (-0.1, -0.2, 0.0), SEGMENT_WINS),
        ((0.2, 0.1, 0.3), (0.1, -0.01, 0.2), SEGMENT_WINS),
        ((0.2, 0.1, 0.3), (0.1, 0.01, 0.2), INDIVIDUAL_PAYS),
        ((None, None, None), (0.1, 0.01, 0.2), NOT_MEASURED),
    ],
)
def test_the_sentence_follows_from_the_intervals(gain, lift, sentence) -> None:
    assert Individuality(FEWEST, gain, lift).sentence == sentence
    assert Individuality(FEWEST - 1, gain, lift).sentence.startswith(f"Not judged: {FEWEST - 1} customers")


@settings(max_examples=tries(50), deadline=None)
@given(sizes=st.lists(st.integers(0, 9), max_size=5), seed=st.integers(0, 10))
def test_everybody_gets_another_one_of_their_segment_and_is_anothers(sizes: list[int], seed: int) -> None:
    segments = pl.DataFrame(
        [(f"c{segment}-{member}", str(segment)) for segment, size in enumerate(sizes) for member in range(size)],
        schema={"customer_id": pl.String, "segment": pl.String},
        orient="row",
    )
    customers = segments.get_column("customer_id")
    found = partners(customers, segments, seed)
    assert found.height == sum(size for size in sizes if size > 1)
    assert (found["customer_id"] != found["taste_of"]).all()
    assert (found["customer_id"].str.slice(0, 3) == found["taste_of"].str.slice(0, 3)).all()
    assert found["taste_of"].n_unique() == found.height
    assert found.equals(partners(customers.reverse(), segments.reverse(), seed))


def test_a_model_with_swapped_tastes_recommends_what_the_other_likes() -> None:
    weighed = pl.DataFrame({"customer_id": ["ann", "ann", "ben"], "product_id": ["tea", "mint", "saw"], "weight": 1.0})
    model = AlsModel.fit(weighed, Recommend(factors=2, alpha=10.0))
    nobody = weighed.clear().select("customer_id", "product_id")

    def first(one: AlsModel) -> list[str]:
        lists = one.recommend(pl.Series(["ann", "ben"]), pl.Series(["mint", "saw", "tea"]), nobody, 1)
        return lists.get_column("product_id").to_list()

    swapped = model.with_tastes_of(pl.DataFrame({"customer_id": ["ann", "ben"], "taste_of": ["ben", "ann"]}))
    assert first(swapped) == first(model)[::-1]
    assert "saw" in first(model)[1]
