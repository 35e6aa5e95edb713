"""From scores to lists, in the small and as laws."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.popular import PopularList
from recsys.models.recommender import LIST_SCHEMA
from recsys.models.topics import NO_PRODUCTS
from recsys.ranking import RANKED_SCHEMA, Limits, eligible, not_again, ranked, short_of
from recsys.topic_rules import PAIR, TopicRules
from recsys.variety import NO_LIMITS

PRODUCTS = pl.DataFrame(
    {
        "product_id": ["green", "hammer", "oolong", "riddle"],
        "is_eligible": [True, True, False, None],
        "replenishable": [True, False, True, None],
    }
)


RULES_SCHEMA = {
    "customer_id": pl.String,
    "topic": pl.String,
    "effect": pl.String,
    "factor": pl.Float64,
    "at_most": pl.Int32,
    "because": pl.String,
}
NO_RULES = TopicRules(pl.DataFrame(schema=RULES_SCHEMA), NO_PRODUCTS)


def _list(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIST_SCHEMA, orient="row")


def plain(individual: pl.DataFrame, popular: pl.DataFrame, k: int) -> pl.DataFrame:
    """Ranked lists where there are no rules."""
    return ranked(NO_RULES.weigh(individual), NO_RULES.weigh(popular), Limits(NO_RULES), k)


def test_only_what_is_known_to_be_eligible_is_eligible():
    assert eligible(PRODUCTS).to_list() == ["green", "hammer"]


def test_what_was_bought_and_is_not_used_up_is_not_named_again():
    interactions = pl.DataFrame(
        {
            "customer_id": ["ann"] * 6,
            "product_id": ["green", "hammer", "oolong", "riddle", "discontinued", "saw"],
            "is_bought": [True, True, True, True, True, False],
        }
    ).with_columns(is_due=pl.lit(None, pl.Boolean))
    assert not_again(interactions, PRODUCTS).rows() == [("ann", "hammer"), ("ann", "riddle"), ("ann", "discontinued")]


@pytest.mark.parametrize(("is_due", "left_out"), [(True, False), (False, True), (None, False)])
def test_what_is_used_up_is_named_again_once_it_is_due_or_nobody_knows(is_due, left_out):
    bought = {"customer_id": ["ann"], "product_id": ["green"], "is_bought": [True], "is_due": [is_due]}
    interactions = pl.DataFrame(bought, schema_overrides={"is_due": pl.Boolean})
    assert not_again(interactions, PRODUCTS).rows() == ([("ann", "green")] if left_out else [])


def test_customers_with_too_few_or_no_rows_are_short():
    individual = _list(("ann", "green", 0.9), ("ann", "black", 0.8), ("ben", "green", 0.7))
    assert short_of(NO_RULES.weigh(individual), pl.Series(["ann", "ben", "fay"]), Limits(NO_RULES), 2).to_list() == [
        "ben",
        "fay",
    ]


def test_popular_products_fill_what_individual_ones_leave_and_none_is_named_twice():
    individual = _list(("ann", "mint", 0.2), ("ann", "green", 0.9))
    popular = _list(("ann", "green", 1.0), ("ann", "saw", 0.5), ("ann", "drill", 0.25), ("fay", "green", 1.0))
    assert plain(individual, popular, 3).rows() == [
        ("ann", 1, "green", "individual", 0.9, None, None),
        ("ann", 2, "mint", "individual", 0.2, None, None),
        ("ann", 3, "saw", "popular", 0.5, None, None),
        ("fay", 1, "green", "popular", 1.0, None, None),
    ]


def test_what_the_customer_bought_before_is_bought_again_where_the_model_names_it():
    bought = pl.DataFrame([("ann", "mint"), ("ann", "saw")], schema=PAIR, orient="row")
    limits = Limits(NO_RULES, replace(NO_LIMITS, bought=bought))
    individual = NO_RULES.weigh(_list(("ann", "mint", 0.9), ("ann", "green", 0.2), ("ben", "mint", 0.1)))
    popular = NO_RULES.weigh(_list(("ann", "saw", 0.5)))
    assert ranked(individual, popular, limits, 3).select("customer_id", "product_id", "source").rows() == [
        ("ann", "mint", "buy_again"),
        ("ann", "green", "individual"),
        ("ann", "saw", "popular"),
        ("ben", "mint", "individual"),
    ]


def test_among_equal_scores_the_smaller_product_goes_first():
    individual = _list(("ann", "b", 0.5), ("ann", "a", 0.5), ("ann", "c", 0.6))
    assert plain(individual, _list(), 2)["product_id"].to_list() == ["c", "a"]


def test_nothing_to_rank_is_an_empty_table_of_the_same_type():
    assert plain(_list(), _list(), 3).schema == RANKED_SCHEMA


customers = st.sampled_from(["ann", "ben", "cat"])
products = st.sampled_from([f"p{i}" for i in range(8)])
pairs = st.sets(st.tuples(customers, products), max_size=24)


def _scored(rows: dict[tuple[str, str], float]) -> pl.DataFrame:
    return _list(*((*pair, score) for pair, score in rows.items()))


scores = st.dictionaries(st.tuples(customers, products), st.sampled_from([0.1, 0.2, 0.3]), max_size=24).map(_scored)


@settings(deadline=None)
@given(individual=scores, popular=scores, k=st.integers(1, 9))
def test_laws_of_ranked_lists(individual, popular, k):
    lists = plain(individual, popular, k)
    assert lists.schema == RANKED_SCHEMA
    assert lists.rows() == lists.sort("customer_id", "rank").rows()
    assert not lists.select("customer_id", "product_id").is_duplicated().any()
    known = pl.concat([individual, popular]).unique(["customer_id", "product_id"])
    for (customer,), part in lists.group_by("customer_id"):
        available = known.filter(pl.col("customer_id") == customer).height
        assert part["rank"].to_list() == list(range(1, min(k, available) + 1))
        assert part["source"].is_sorted(), "individual before popular"
        for _, of_source in part.group_by("source"):
            assert of_source["score"].is_sorted(descending=True)
    assert set(lists["customer_id"]) == set(known["customer_id"])


@settings(deadline=None)
@given(individual=scores, popular=scores, k=st.integers(1, 9), seed=st.integers(0, 3))
def test_ranked_lists_do_not_depend_on_row_order(individual, popular, k, seed):
    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1, shuffle=True, seed=seed)

    assert plain(individual, popular, k).equals(plain(shuffled(individual), shuffled(popular), k))


@settings(deadline=None)
@given(barred=pairs, allowed=st.sets(products), n=st.integers(0, 9))
def test_the_popular_list_is_what_is_allowed_in_order_less_what_is_barred(barred, allowed, n):
    popularity = pl.DataFrame({"product_id": [f"p{i}" for i in (3, 1, 4, 0, 5, 2, 6, 7)], "rank": range(1, 9)})
    excluded = pl.DataFrame(sorted(barred), schema={"customer_id": pl.String, "product_id": pl.String}, orient="row")
    lists = PopularList(popularity).recommend(
        pl.Series(["ann", "ben"]), pl.Series(sorted(allowed), dtype=pl.String), excluded, n
    )
    wanted = [
        (customer, product, 1 / rank)
        for customer in ("ann", "ben")
        for product, rank in [
            row for row in popularity.rows() if row[0] in allowed and (customer, row[0]) not in barred
        ][:n]
    ]
    assert lists.rows() == wanted
