"""A ranker's lists as a recommender that minds topics, and who is asked where they end."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from thorough import tries

from recsys.models.popular import PopularList
from recsys.models.recommender import EVERYTHING, LIST_SCHEMA
from recsys.models.topics import Topics
from recsys.twostage.lists import with_newcomers
from recsys.twostage.ranked import Ranked

PAIRS = {"customer_id": pl.String, "product_id": pl.String}
NOTHING = pl.DataFrame(schema=PAIRS)
CUSTOMERS = pl.Series(["ann", "ben", "cat"])
PRODUCTS = pl.Series(["black", "green", "mint", "saw"])
POPULAR = PopularList(pl.DataFrame({"product_id": ["saw", "green", "mint", "black"], "rank": [1, 2, 3, 4]}))
OF_TOPICS = pl.DataFrame(
    [("black", "tea"), ("green", "tea"), ("mint", "tea"), ("green", "organic"), ("saw", "tools")],
    schema={"product_id": pl.String, "topic": pl.String},
    orient="row",
)
TOLD = {"customer_id": pl.String, "topic": pl.String}


class Asked(PopularList):
    """The popular list, which remembers whom it was asked about."""

    def recommend(self, customers, candidates, excluded, n, topics=EVERYTHING):
        self.customers = sorted(customers)
        return super().recommend(customers, candidates, excluded, n, topics)


def lists(**named: list[str]) -> pl.DataFrame:
    """Each customer's products, best first, with scores from 9 down."""
    rows = [(who, what, 9.0 - place) for who, products in named.items() for place, what in enumerate(products)]
    return pl.DataFrame(rows, schema=LIST_SCHEMA, orient="row")


def names(found: pl.DataFrame) -> dict[str, list[str]]:
    return dict(found.group_by("customer_id", maintain_order=True).agg("product_id").iter_rows())


def test_only_who_has_too_few_is_asked_about_further() -> None:
    then = Asked(pl.DataFrame({"product_id": ["saw", "green"], "rank": [1, 2]}))
    found = Ranked(lists(ann=["mint", "black"], ben=["mint"]), then).recommend(CUSTOMERS, PRODUCTS, NOTHING, 2)
    assert names(found) == {"ann": ["mint", "black"], "ben": ["mint", "saw"], "cat": ["saw", "green"]}
    assert then.customers == ["ben", "cat"]


def test_what_goes_on_lies_below_all_that_was_ranked() -> None:
    found = Ranked(lists(ann=["mint"]), POPULAR).recommend(CUSTOMERS.head(1), PRODUCTS, NOTHING, 4)
    assert found["product_id"].to_list() == ["mint", "saw", "green", "black"]
    assert found["score"].to_list() == [9.0, 9 * 1 / 2, 9 * (1 / 2) / (3 / 2), 9 * (1 / 4) / (5 / 4)]


def told(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=TOLD, orient="row")


def test_topics_are_left_out_or_chosen_from_for_each_customer_alone() -> None:
    ranked = Ranked(lists(ann=["green", "mint", "saw"], ben=["green", "saw"]), POPULAR)
    no_tea = Topics(OF_TOPICS, told(("ann", "tea")))
    assert names(ranked.recommend(CUSTOMERS.head(2), PRODUCTS, NOTHING, 2, no_tea)) == {
        "ann": ["saw"],
        "ben": ["green", "saw"],
    }
    within = Topics(OF_TOPICS, within=told(("ann", "tea"), ("ann", "tools"), ("ben", "tea")))
    assert names(ranked.recommend(CUSTOMERS, PRODUCTS, NOTHING, 1, within)) == {
        "ann": ["green", "saw"],
        "ben": ["green"],
    }


def by_definition(
    ranked: pl.DataFrame, candidates: pl.Series, excluded: pl.DataFrame, n: int, topics: Topics
) -> pl.DataFrame:
    """Everybody is asked about further, whether or not it is needed; then the n best of everything, or of a topic."""
    pair = list(PAIRS)
    asked = topics.asked(CUSTOMERS)
    barred = topics.products.join(topics.excluded, on="topic").select(pair)
    first = ranked.filter(
        pl.col("customer_id").is_in(asked.implode()), pl.col("product_id").is_in(candidates.implode())
    )
    first = first.join(excluded, on=pair, how="anti").join(barred, on=pair, how="anti")
    lowest = ranked.group_by("customer_id").agg(lowest=pl.col("score").min())
    second = POPULAR.recommend(asked, candidates, excluded, n, topics).join(lowest, on="customer_id", how="left")
    score = pl.col("lowest").fill_null(1.0) * pl.col("score") / (pl.col("score") + 1)
    rows = pl.concat([first, second.with_columns(score=score).select(first.columns)]).unique(
        pair, keep="first", maintain_order=True
    )
    rows = rows.sort("customer_id", "score", "product_id", descending=[False, True, False])
    if topics.within is None:
        return rows.filter(pl.int_range(pl.len()).over("customer_id") < n)
    chosen = rows.join(topics.products, on="product_id", maintain_order="left").join(
        topics.within, on=["customer_id", "topic"], how="semi", maintain_order="left"
    )
    chosen = chosen.filter(pl.int_range(pl.len()).over("customer_id", "topic") < n)
    return rows.join(chosen, on=pair, how="semi", maintain_order="left")


a_pair = st.tuples(st.sampled_from(CUSTOMERS.to_list()), st.sampled_from(PRODUCTS.to_list()))
a_topic = st.tuples(st.sampled_from(CUSTOMERS.to_list()), st.sampled_from(["tea", "organic", "tools"]))


@settings(max_examples=tries(60), deadline=None)
@given(
    scores=st.dictionaries(a_pair, st.sampled_from([0.5, 1.0, 2.0])),
    candidates=st.sets(st.sampled_from(PRODUCTS.to_list()), min_size=1),
    excluded=st.sets(a_pair, max_size=4),
    left_out=st.sets(a_topic, max_size=2),
    within=st.none() | st.sets(a_topic, min_size=1),
    n=st.integers(1, 4),
)
def test_asking_only_where_it_is_needed_changes_nothing(scores, candidates, excluded, left_out, within, n) -> None:
    ranked = pl.DataFrame([(*pair, score) for pair, score in scores.items()], schema=LIST_SCHEMA, orient="row")
    topics = Topics(OF_TOPICS, told(*sorted(left_out)), None if within is None else told(*sorted(within)))
    barred = pl.DataFrame(sorted(excluded), schema=PAIRS, orient="row")
    asked = (pl.Series(sorted(candidates)), barred, n, topics)
    assert_frame_equal(
        Ranked(ranked, POPULAR).recommend(CUSTOMERS, *asked), by_definition(ranked, *asked), check_exact=True
    )


def test_a_product_that_nobody_touched_stands_where_the_model_has_it():
    lists = pl.DataFrame(
        [("ann", "tea", 8.0), ("ann", "mint", 2.0), ("ann", "saw", 1.0), ("ben", "saw", 3.0)],
        schema=LIST_SCHEMA,
        orient="row",
    )
    named = pl.DataFrame(
        [("ann", "new", 1), ("ann", "newer", 3), ("ann", "newest", 4), ("ann", "late", 9), ("ben", "new", 2)],
        schema={"customer_id": pl.String, "product_id": pl.String, "rank": pl.Int32},
        orient="row",
    )
    found = with_newcomers(lists, named)
    assert found.schema == LIST_SCHEMA
    assert (found["score"] > 0).all()
    order = {name: list(ids) for name, ids in found.group_by("customer_id").agg("product_id").iter_rows()}
    assert order == {"ann": ["new", "tea", "newer", "newest", "mint", "saw"], "ben": ["saw"]}
    assert with_newcomers(lists, named.clear()).sort(LIST_SCHEMA.names()).equals(lists.sort(LIST_SCHEMA.names()))
