"""What topic rules do to lists: in the small, and as a law against the same rules written with dicts and loops."""

from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_recommend import rules
from thorough import tries

from recsys.models.popular import PopularList
from recsys.models.recommender import LIST_SCHEMA, Recommender
from recsys.models.topics import Topics
from recsys.ranking import Limits, ranked, short_of
from recsys.topic_rules import NOTHING_DUE, TopicRules

NOTHING = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})
CATALOGUE = {
    "green": ("tea", "tea > green"),
    "black": ("tea",),
    "mint": ("tea", "herbs"),
    "hammer": ("tools",),
    "saw": ("tools",),
    "basil": ("herbs",),
}
RANKS = {product: rank for rank, product in enumerate(["green", "hammer", "black", "mint", "saw", "basil"], 1)}


def topics_of(catalogue: dict[str, tuple[str, ...]]) -> pl.DataFrame:
    rows = [(product, topic) for product, topics in catalogue.items() for topic in topics]
    return pl.DataFrame(rows, schema={"product_id": pl.String, "topic": pl.String}, orient="row")


def popular_lists(
    told: TopicRules, customers: list[str], k: int, excluded: pl.DataFrame = NOTHING
) -> dict[str, list[str]]:
    """Everybody's popular list under the rules, as the stage makes it."""
    popularity = PopularList(pl.DataFrame({"product_id": list(RANKS), "rank": list(RANKS.values())}))
    asked = pl.Series(customers, dtype=pl.String)
    weighed = told.weigh(told.shortlist(popularity, asked, pl.Series(list(RANKS)), excluded, k))
    lists = ranked(told.weigh(LIST_SCHEMA.to_frame()), weighed, Limits(told), k)
    return {
        customer: lists.filter(pl.col("customer_id") == customer).get_column("product_id").to_list()
        for customer in customers
    }


@pytest.mark.parametrize(
    ("told", "products"),
    [
        ([], ["green", "hammer", "black"]),
        ([("ann", "exclude", "tea", None)], ["hammer", "saw", "basil"]),
        ([("ann", "exclude", "tea > green", None)], ["hammer", "black", "mint"]),
        ([("ann", "exclude", "herbs", None), ("ann", "lift", "tea", 9.0)], ["green", "black", "hammer"]),
        ([("ann", "demote", "tea", 0.1)], ["hammer", "saw", "basil"]),
        ([("ann", "demote", "tea", 0.5)], ["green", "hammer", "saw"]),
        ([("ann", "lift", "herbs", 3.0)], ["mint", "basil", "green"]),
        ([("ann", "lift", "herbs", 9.0), ("ann", "demote", "tea", 0.1)], ["basil", "hammer", "saw"]),
        ([("ann", "limit", "tea", 1)], ["green", "hammer", "saw"]),
        ([("ann", "limit", "tea", 0)], ["hammer", "saw", "basil"]),
        ([("ann", "limit", "herbs", 1), ("ann", "lift", "herbs", 9.0)], ["mint", "green", "hammer"]),
        ([("ben", "exclude", "tea", None)], ["green", "hammer", "black"]),
        ([("ann", "exclude", "no such topic", None)], ["green", "hammer", "black"]),
    ],
)
def test_each_effect_on_the_popular_list(told: list[tuple[str, str, str, float | None]], products: list[str]) -> None:
    assert popular_lists(TopicRules(rules(*told), topics_of(CATALOGUE)), ["ann"], 3) == {"ann": products}


def test_a_list_that_a_rule_empties_is_no_list() -> None:
    told = TopicRules(rules(("ann", "exclude", "x", None)), topics_of(dict.fromkeys(RANKS, ("x",))))
    assert popular_lists(told, ["ann", "ben"], 2) == {"ann": [], "ben": ["green", "hammer"]}


def test_because_names_what_lifted_a_product_to_its_place() -> None:
    told = TopicRules(rules(("ann", "lift", "herbs", 3.0), ("ann", "lift", "tea > green", 2.0)), topics_of(CATALOGUE))
    popularity = PopularList(pl.DataFrame({"product_id": list(RANKS), "rank": list(RANKS.values())}))
    weighed = told.weigh(told.shortlist(popularity, pl.Series(["ann"]), pl.Series(list(RANKS)), NOTHING, 4))
    lists = ranked(told.weigh(LIST_SCHEMA.to_frame()), weighed, Limits(told), 4)
    assert lists.select("product_id", "score", "because", "topic", "source").rows() == [
        ("green", 2.0, "interested", "tea > green", "content"),
        ("mint", 0.75, "interested", "herbs", "content"),
        ("basil", 0.5, "interested", "herbs", "content"),
        ("hammer", 0.5, None, None, "popular"),
    ]
    by_taste = ranked(weighed, told.weigh(LIST_SCHEMA.to_frame()), Limits(told), 4)
    assert by_taste.select("product_id", "because", "topic", "source").rows() == [
        ("green", None, None, "individual"),  # lifted, and first anyway
        ("mint", "interested", "herbs", "individual"),
        ("basil", "interested", "herbs", "individual"),
        ("hammer", None, None, "individual"),
    ]


class Opinions(Recommender):
    """A recommender with fixed scores of 1 and more per customer and product; what has no score is not named."""

    def __init__(self, scores: dict[tuple[str, str], int]) -> None:
        self.scores = scores

    def recommend(
        self, customers: pl.Series, candidates: pl.Series, excluded: pl.DataFrame, n: int, topics: Topics | None = None
    ) -> pl.DataFrame:
        topics = topics or Topics()
        of_product = defaultdict(set)
        for product, topic in topics.products.select("product_id", "topic").iter_rows():
            of_product[product].add(topic)
        barred, asks = set(topics.excluded.iter_rows()), topics.within
        pairs = set(excluded.select("customer_id", "product_id").iter_rows())
        rows = set()
        for customer in customers:
            wanted = [None] if asks is None else [topic for who, topic in asks.iter_rows() if who == customer]
            for topic in wanted:
                free = [
                    (-score, product)
                    for (who, product), score in self.scores.items()
                    if who == customer
                    and product in set(candidates)
                    and (who, product) not in pairs
                    and not any((who, one) in barred for one in of_product[product])
                    and (topic is None or topic in of_product[product])
                ]
                rows |= {(customer, product, float(-score)) for score, product in sorted(free)[:n]}
        return pl.DataFrame(sorted(rows), schema=LIST_SCHEMA, orient="row")


people = ["ann", "ben"]
things = [f"p{i}" for i in range(12)]
subjects = ["t0", "t1", "t2", "t3"]
effects = st.one_of(
    st.just(("exclude", None)),
    st.just(("demote", 0.25)),
    st.sampled_from([("lift", 1.5), ("lift", 3.0), ("lift", 8.0)]),
)


def by_hand(
    scores: dict[tuple[str, str], int],
    catalogue: dict[str, tuple[str, ...]],
    told: dict[tuple[str, str], tuple[str, float | None]],
    limits: dict[str, tuple[str, int]],
    customer: str,
    k: int,
) -> list[str]:
    """The list of one customer: the rules in words, over every product there is."""
    rows = []
    for product in things:
        if (customer, product) not in scores:
            continue
        mine = [told[customer, topic] for topic in catalogue[product] if (customer, topic) in told]
        if any(effect == "exclude" for effect, _ in mine):
            continue
        down = [factor for effect, factor in mine if effect == "demote"]
        up = [factor for effect, factor in mine if effect == "lift"]
        factor = min(down) if down else max([1.0, *up])
        rows.append((-scores[customer, product] * factor, product))
    kept: list[str] = []
    topic, most = limits.get(customer, ("", 0))
    for _, product in sorted(rows):
        if topic in catalogue[product] and sum(topic in catalogue[one] for one in kept) >= most:
            continue
        kept.append(product)
    return kept[:k]


@settings(max_examples=tries(150), deadline=None)
@given(
    scores=st.dictionaries(st.tuples(st.sampled_from(people), st.sampled_from(things)), st.integers(1, 9), max_size=24),
    belongs=st.lists(st.sets(st.sampled_from(subjects)), min_size=12, max_size=12),
    told=st.dictionaries(st.tuples(st.sampled_from(people), st.sampled_from(subjects)), effects, max_size=6),
    limits=st.dictionaries(
        st.sampled_from(people), st.tuples(st.sampled_from(subjects), st.integers(0, 3)), max_size=2
    ),
    k=st.integers(1, 5),
)
def test_the_list_is_the_best_of_everything_under_the_rules(scores, belongs, told, limits, k):
    """The short lists that are fetched hold enough: the k best are those of a look at every single product.

    Without a limit and a lift on different topics at once: there the short lists may miss a product that is lifted.
    """
    limits = {
        who: limit
        for who, limit in limits.items()
        if not any(one == who and effect == "lift" for (one, _), (effect, _) in told.items())
    }
    catalogue = {product: tuple(sorted(topics)) for product, topics in zip(things, belongs, strict=True)}
    rows = [(who, effect, topic, factor) for (who, topic), (effect, factor) in told.items()]
    rows += [(who, "limit", topic, most) for who, (topic, most) in limits.items()]
    both = TopicRules(rules(*rows), topics_of(catalogue))
    asked = pl.Series(people)
    found = both.weigh(both.shortlist(Opinions(scores), asked, pl.Series(things), NOTHING, k))
    lists = ranked(found, both.weigh(LIST_SCHEMA.to_frame()), Limits(both), k)
    for customer in people:
        mine = lists.filter(pl.col("customer_id") == customer)
        assert mine["product_id"].to_list() == by_hand(scores, catalogue, told, limits, customer, k)
        unlifted = {pair: rule for pair, rule in told.items() if rule[0] != "lift"}
        before = by_hand(scores, catalogue, unlifted, limits, customer, k)
        for rank, product, because in mine.select("rank", "product_id", "because").iter_rows():
            is_lifted = any(told.get((customer, topic), ("",))[0] == "lift" for topic in catalogue[product])
            moved_up = product not in before or rank < before.index(product) + 1
            assert (because == "interested") == (
                is_lifted and moved_up and not _is_demoted(told, customer, catalogue[product])
            )
    full = short_of(found, asked, Limits(both), k).to_list()
    assert full == [who for who in people if len(by_hand(scores, catalogue, told, limits, who, k)) < k]


def _is_demoted(told: dict[tuple[str, str], tuple[str, float | None]], customer: str, topics: tuple[str, ...]) -> bool:
    return any(told.get((customer, topic), ("",))[0] == "demote" for topic in topics)


@settings(max_examples=tries(60), deadline=None)
@given(
    told=st.dictionaries(
        st.tuples(st.sampled_from(people), st.sampled_from(["tea", "tools", "herbs", "tea > green"])),
        effects,
        max_size=5,
    ),
    limits=st.dictionaries(st.tuples(st.sampled_from(people), st.sampled_from(["tea", "tools"])), st.integers(0, 2)),
    barred=st.sets(st.tuples(st.sampled_from(people), st.sampled_from(list(RANKS)))),
    k=st.integers(1, 7),
)
def test_no_rule_is_ever_broken_whatever_there_is_of_them(told, limits, barred, k):
    rows = [(who, effect, topic, factor) for (who, topic), (effect, factor) in told.items()]
    rows += [(who, "limit", topic, most) for (who, topic), most in limits.items()]
    pairs = pl.DataFrame(sorted(barred), schema=NOTHING.schema, orient="row")
    for customer, products in popular_lists(TopicRules(rules(*rows), topics_of(CATALOGUE)), people, k, pairs).items():
        assert len(set(products)) == len(products) <= k
        assert not {product for who, product in barred if who == customer} & set(products)
        for (who, topic), (effect, _) in told.items():
            assert who != customer or effect != "exclude" or not any(topic in CATALOGUE[one] for one in products)
        for (who, topic), most in limits.items():
            assert who != customer or sum(topic in CATALOGUE[one] for one in products) <= most


@pytest.mark.parametrize(
    ("told", "products"),
    [
        ([], ["saw", "green", "hammer"]),
        ([("ann", "lift", "tools", 1.0)], ["saw", "green", "hammer"]),
        ([("ann", "demote", "tools", 0.9)], ["green", "black", "mint"]),
        ([("ann", "exclude", "tools", None)], ["green", "black", "mint"]),
    ],
)
def test_a_product_that_is_due_is_lifted_alone_and_no_beats_it(
    told: list[tuple[str, str, str, float | None]], products: list[str]
) -> None:
    due = pl.DataFrame(
        [("ann", "saw", "tools", 10.0, "due"), ("ben", "mint", "tea", 10.0, "due")],
        schema=NOTHING_DUE.schema,
        orient="row",
    )
    ruled = TopicRules(rules(*told), topics_of(CATALOGUE), due)
    found = popular_lists(ruled, ["ann", "cat"], 6)
    if told and told[0][1] == "demote":
        assert found["ann"].index("saw") > found["ann"].index("hammer")
    else:
        assert found["ann"][:3] == products
    assert found["cat"] == list(RANKS)
