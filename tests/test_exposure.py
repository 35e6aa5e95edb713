"""Coverage, gini, novelty and diversity: visible answers and laws."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation import exposure
from recsys.evaluation.exposure import coverage, diversity, gini, novelty, topic_vectors

FOUR = pl.Series(["a", "b", "c", "d"])


def _pairs(**products: str) -> pl.DataFrame:
    rows = [(customer, product) for customer, list_ in products.items() for product in list_]
    return pl.DataFrame(rows, schema={"customer_id": pl.String, "product_id": pl.String}, orient="row")


@pytest.mark.parametrize(
    ("lists", "share", "unevenness"),
    [
        (_pairs(ann="ab", ben="cd"), 1, 0),
        (_pairs(ann="a", ben="a", cat="a"), 1 / 4, 3 / 4),
        (_pairs(ann="ab", ben="ac"), 3 / 4, 3 / 8),
        (_pairs(ann="az"), 1 / 4, 3 / 4),
        (_pairs(), 0, None),
    ],
)
def test_how_much_of_the_assortment_is_named_and_how_evenly(lists, share, unevenness):
    assert coverage(lists, FOUR) == share
    assert gini(lists, FOUR) == unevenness


def test_without_eligible_products_there_is_nothing_to_cover():
    nothing = pl.Series([], dtype=pl.String)
    assert coverage(_pairs(ann="a"), nothing) is None
    assert gini(_pairs(ann="a"), nothing) is None


INTERACTIONS = _pairs(ann="ab", ben="ab", cat="aac", dan="a")


@pytest.mark.parametrize(("list_", "bits"), [("a", 0), ("b", 1), ("c", 2), ("z", 2), ("ab", 0.5), ("abcz", 1.25)])
def test_novelty_is_the_mean_surprise_of_a_list(list_, bits):
    assert novelty(_pairs(eve=list_), INTERACTIONS).rows() == [("eve", pytest.approx(bits))]


def test_novelty_has_a_row_per_list_and_no_value_without_interactions():
    lists = _pairs(ben="c", ann="a")
    assert novelty(lists, INTERACTIONS)["customer_id"].to_list() == ["ann", "ben"]
    assert novelty(lists, _pairs()).rows() == [("ann", None), ("ben", None)]
    assert novelty(_pairs(), INTERACTIONS).schema == {"customer_id": pl.String, "novelty": pl.Float64}
    assert novelty(_pairs(), INTERACTIONS).is_empty()


VECTORS = np.array([[1, 0], [2, 0], [0, 3], [-1, 0], [0, 0]], dtype=np.float32)
FIVE = pl.Series(["a", "b", "c", "d", "e"])


@pytest.mark.parametrize(
    ("list_", "value"), [("ab", 0), ("ac", 1), ("ad", 2), ("abc", 2 / 3), ("a", None), ("ae", None), ("acze", 1)]
)
def test_diversity_is_what_the_products_of_a_list_do_not_share(list_, value):
    expected = None if value is None else pytest.approx(value)
    assert diversity(_pairs(ann=list_), FIVE, VECTORS).rows() == [("ann", expected)]


def test_no_lists_have_no_diversity():
    assert diversity(_pairs(), FIVE, VECTORS).schema == {"customer_id": pl.String, "diversity": pl.Float64}
    assert diversity(_pairs(), FIVE, VECTORS).is_empty()


def test_topics_make_vectors_that_are_alike_as_far_as_topics_are_shared():
    topics = pl.DataFrame({"product_id": ["b", "a", "b", "c"], "topic": ["tea", "tea", "mint", "saw"]})
    products, vectors = topic_vectors(topics)
    assert products.to_list() == ["a", "b", "c"]
    assert vectors.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0]]
    lists = _pairs(ann="ab", ben="bc")
    assert diversity(lists, products, vectors)["diversity"].to_list() == pytest.approx([1 - 2**-0.5, 1])


lists_of_five = st.dictionaries(
    st.sampled_from(["ann", "ben", "cat"]), st.lists(st.sampled_from("abcde"), unique=True, min_size=1).map("".join)
).map(lambda lists: _pairs(**lists))
coordinates = st.integers(-3, 3)
five_vectors = st.lists(st.lists(coordinates, min_size=3, max_size=3), min_size=5, max_size=5).map(np.array)


@settings(deadline=None)
@given(lists=lists_of_five, vectors=five_vectors)
def test_diversity_is_the_mean_over_all_pairs_of_products(lists, vectors):
    by_product = {p: v / np.linalg.norm(v) for p, v in zip(FIVE, vectors.astype(float), strict=True) if v.any()}

    def mean(products: list[str]) -> float | None:
        known = [by_product[product] for product in products if product in by_product]
        cosines = [one @ other for i, one in enumerate(known) for other in known[:i]]
        return 1 - float(np.mean(cosines)) if cosines else None

    grouped = lists.group_by("customer_id").agg("product_id").sort("customer_id").rows()
    expected = [(customer, mean(products)) for customer, products in grouped]
    found = diversity(lists, FIVE, vectors).rows()
    assert found == [(customer, value if value is None else pytest.approx(value)) for customer, value in expected]


def test_diversity_is_the_same_whatever_the_batch(monkeypatch):
    lists = _pairs(ann="ac", ben="ab", cat="ad", dan="a", eve="abc")
    whole = diversity(lists, FIVE, VECTORS)
    monkeypatch.setattr(exposure, "BATCH", 2)
    assert diversity(lists, FIVE, VECTORS).equals(whole)


@settings(deadline=None)
@given(lists=lists_of_five, seed=st.integers(0, 9))
def test_laws_of_exposure(lists, seed):
    covered, unevenness = coverage(lists, FIVE), gini(lists, FIVE)
    assert covered == lists["product_id"].n_unique() / 5
    rows = np.array([lists.filter(product_id=product).height for product in FIVE])
    if rows.any():
        assert unevenness == pytest.approx(np.abs(rows[:, None] - rows).sum() / (2 * 5 * rows.sum()))
        assert 0 <= unevenness <= 1 - 1 / 5
    shuffled = lists.sample(fraction=1, shuffle=True, seed=seed)
    assert (coverage(shuffled, FIVE), gini(shuffled, FIVE)) == (covered, unevenness)
    surprise = novelty(lists, INTERACTIONS)["novelty"]
    assert surprise.is_between(0, 2).all()
    assert novelty(shuffled, INTERACTIONS)["novelty"].equals(surprise)
