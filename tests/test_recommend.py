"""The stage `recommend` on the toy shop and on its edges."""

import logging
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import tries
from toy import ROWS, RUN_DATE, write_shop

from recsys import recommend
from recsys.errors import ModelError, StageInputMissing
from recsys.list_settings import Variety as Settings
from recsys.night import Night
from recsys.tables import write_parquet
from recsys.topic_rules import NOTHING_DUE
from recsys.vocabulary import OF_MODEL

SCHEMA = {
    "run_date": pl.Date(),
    "customer_id": pl.String(),
    "rank": pl.Int32(),
    "product_id": pl.String(),
    "source": pl.String(),
    "score": pl.Float64(),
    "model_version": pl.String(),
    "because": pl.String(),
    "topic": pl.String(),
    "context": pl.String(),
}
REASONS = {
    "run_date": pl.Date(),
    "customer_id": pl.String(),
    "rank": pl.Int32(),
    "place": pl.Int32(),
    "product_id": pl.String(),
    "because_product_id": pl.String(),
    "kind": pl.String(),
    "share": pl.Float64(),
}
INELIGIBLE = {"oolong", "test"}
PRODUCTS = pl.DataFrame(
    {
        "product_id": [row["product_id"] for row in ROWS["products"]],
        "name": [row["name"] for row in ROWS["products"]],
        "is_eligible": [row["product_id"] not in INELIGIBLE for row in ROWS["products"]],
        "replenishable": [row["replenishable"] for row in ROWS["products"]],
        "sensitive": [row["sensitive"] for row in ROWS["products"]],
        "top_category": [str(row["category"]).split(" > ")[0] for row in ROWS["products"]],
        "brand": None,
    }
).sort("product_id")
NOBODY_RESTS = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})
CUSTOMERS = pl.DataFrame(
    {"customer_id": ["ann", "ben", "cat", "dan", "eve", "fay"], "may_personalise": True, "context": None},
    schema_overrides={"context": pl.String},
)
NO_COUNTRIES = pl.DataFrame(schema={"context": pl.String, "product_id": pl.String, "rank": pl.Int64})
POPULARITY = pl.DataFrame(
    {"product_id": ["green", "black", "hammer", "mint", "saw", "drill"], "rank": [1, 2, 3, 4, 5, 6]}
)
INTERACTIONS = pl.DataFrame(
    [
        ("ann", "black", 0.7, True),
        ("ann", "green", 0.7, True),
        ("ben", "black", 0.8, True),
        ("ben", "green", 0.8, True),
        ("ben", "mint", 0.8, True),
        ("cat", "black", 0.07, False),
        ("cat", "green", 0.8, True),
        ("dan", "hammer", 0.8, True),
        ("dan", "saw", 0.8, True),
        ("eve", "drill", 0.8, False),  # returned
        ("eve", "hammer", 0.8, True),
    ],
    schema=["customer_id", "product_id", "weight", "is_bought"],
    orient="row",
).with_columns(is_due=pl.lit(None, pl.Boolean))


TOOL_FANS = pl.DataFrame(
    [(f"fan{fan}", tool, 0.8, True, None) for fan in range(3) for tool in ("drill", "hammer", "saw")],
    schema=INTERACTIONS.schema,
    orient="row",
)
"""People who are not customers any more and had all tools: through them the model learns that tools go together."""

PRODUCT_TOPICS = pl.DataFrame(
    [
        (row["product_id"], topic)
        for row in ROWS["products"]
        if not row["sensitive"]
        for topic in {row["category"], str(row["category"]).split(" > ")[0]}
    ],
    schema={"product_id": pl.String, "topic": pl.String},
    orient="row",
).sort("product_id", "topic")
EFFECTS = {"exclude": "not_interested", "demote": "less_like_this", "lift": "interested", "limit": "narrow"}


def rules(*told: tuple[str, str, str, float | int | None]) -> pl.DataFrame:
    """Topic rules from customer, effect, topic, and factor or at_most."""
    rows = [
        (
            who,
            topic,
            effect,
            None if effect == "limit" else value,
            value if effect == "limit" else None,
            EFFECTS[effect],
        )
        for who, effect, topic, value in told
    ]
    schema = {
        "customer_id": pl.String,
        "topic": pl.String,
        "effect": pl.String,
        "factor": pl.Float64,
        "at_most": pl.Int32,
        "because": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def write_features(night: Night, **changes: pl.DataFrame) -> None:
    """What the features stage would leave for the toy shop; keyword arguments replace a table."""
    tables = {
        "interactions": INTERACTIONS,
        "products": PRODUCTS,
        "customers": CUSTOMERS,
        "popularity": POPULARITY,
        "popularity_by_country": NO_COUNTRIES,
        "topic_rules": rules(),
        "product_topics": PRODUCT_TOPICS,
        "due_products": NOTHING_DUE,
        "rested_products": NOBODY_RESTS,
    }
    for name, table in (tables | changes).items():
        write_parquet(table, night.features / f"{name}.parquet")


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(write_shop(tmp_path), RUN_DATE)


@pytest.fixture
def lists(night: Night) -> pl.DataFrame:
    write_features(night)
    recommend.run(night)
    return pl.read_parquet(night.recommendations)


def _of(lists: pl.DataFrame, customer: str) -> pl.DataFrame:
    return lists.filter(pl.col("customer_id") == customer)


def _products(lists: pl.DataFrame, customer: str) -> list[str]:
    return _of(lists, customer)["product_id"].to_list()


def _with(night: Night, **settings: int) -> Night:
    shop = night.shop.model_copy(update={"recommend": night.shop.recommend.model_copy(update=settings)})
    return Night(shop, night.run_date)


def test_the_table_has_the_promised_columns_and_order(lists):
    assert lists.schema == SCHEMA
    assert lists.rows() == lists.sort("customer_id", "rank").rows()
    assert lists["run_date"].unique().to_list() == [date(2026, 3, 31)]
    assert lists["model_version"].n_unique() == 1
    assert lists["model_version"].str.contains(r"^als-[0-9a-f]{12}$").all()


def test_cold_customer_gets_popular_items(lists):
    assert _products(lists, "fay") == ["green", "black", "hammer", "mint"]
    assert _of(lists, "fay")["source"].unique().to_list() == ["popular"]
    assert _of(lists, "fay")["score"].to_list() == [1, 1 / 2, 1 / 3, 1 / 4]


def test_a_customer_of_whom_nothing_is_known_gets_the_popular_list_of_their_country(night):
    """Fay is in Austria, where tools are what most people buy; Dan's one free place is filled from there as well."""
    contexts = CUSTOMERS.with_columns(context=pl.Series([None, None, None, "AT", None, "AT"], dtype=pl.String))
    order = ["saw", "drill", "hammer", "mint", "black", "green"]
    austria = pl.DataFrame({"context": "AT", "product_id": order, "rank": [1, 2, 3, 4, 5, 6]})
    tools = INTERACTIONS.filter(pl.col("customer_id").is_in(["dan", "eve"]))
    write_features(night, customers=contexts, popularity_by_country=austria, interactions=pl.concat([tools, TOOL_FANS]))
    recommend.run(_with(night, factors=1))
    lists = pl.read_parquet(night.recommendations)
    columns = ["product_id", "source", "context", "score"]
    assert _of(lists, "fay").select(columns).rows() == [
        (product, "popular", "AT", 1 / rank) for rank, product in enumerate(order[:4], 1)
    ]
    assert _of(lists, "dan").select(columns[:3]).rows() == [
        ("drill", "individual", None),
        *((product, "popular", "AT") for product in ("mint", "black", "green")),
    ]
    assert _products(lists, "cat") == ["green", "black", "hammer", "mint"]
    assert _of(lists, "cat")["context"].null_count() == 4


def test_interests_come_before_what_is_popular_where_nothing_else_is_known(night):
    """Fay named tools, and less of saws: two tools, then popular things; the saw, which she wants less, comes late."""
    told = rules(("fay", "lift", "tools", 1.2), ("fay", "demote", "saws", 0.5))
    topics = pl.concat([PRODUCT_TOPICS, pl.DataFrame({"product_id": ["saw"], "topic": ["saws"]})])
    write_features(night, topic_rules=told, product_topics=topics)
    recommend.run(_with(night, k=6))
    lists = pl.read_parquet(night.recommendations)
    assert _of(lists, "fay").select("product_id", "source", "because", "topic").rows() == [
        ("hammer", "content", "interested", "tools"),
        ("drill", "content", "interested", "tools"),
        ("green", "popular", None, None),
        ("black", "popular", None, None),
        ("mint", "popular", None, None),
        ("saw", "popular", None, None),
    ]


def test_whose_history_is_older_than_the_training_window_is_folded_in(night):
    """Only ten days are learnt from. Eve bought her hammer half a year ago, and gets what goes with hammers."""
    recent = pl.concat([INTERACTIONS.filter(pl.col("customer_id") != "eve"), TOOL_FANS])
    old = pl.DataFrame([("eve", "hammer", 0.0, True, None)], schema=INTERACTIONS.schema, orient="row")
    events = pl.DataFrame(
        {"customer_id": ["eve"], "product_id": ["hammer"], "kind": ["order"], "quantity": [1]},
    ).with_columns(order_id=pl.lit("o1"), unit_price=9.9, occurred_at=pl.lit(datetime(2025, 10, 1)))
    write_features(night, interactions=pl.concat([recent, old]))
    write_parquet(events, night.features / "events.parquet")
    write_parquet(CUSTOMERS.select("customer_id"), night.features / "customer_features.parquet")
    settings = night.shop.recommend.model_copy(update={"window_days": 10})
    recommend.run(Night(night.shop.model_copy(update={"recommend": settings}), RUN_DATE))
    eve = _of(pl.read_parquet(night.recommendations), "eve").filter(source="individual")
    assert {"saw", "drill"} <= set(eve["product_id"])
    because = _of(pl.read_parquet(night.reasons), "eve")
    assert because.select("because_product_id", "kind").unique().rows() == [("hammer", "bought")]


@pytest.mark.parametrize("answer", [False, None])
def test_whoever_does_not_allow_personalisation_gets_the_popular_list(night, answer):
    """Dan bought a hammer. That is not known here, so it is in his list like in everybody's."""
    allowed = pl.when(pl.col("customer_id") != "dan").then(True).otherwise(pl.lit(answer, pl.Boolean))
    write_features(
        night,
        interactions=INTERACTIONS.filter(pl.col("customer_id") != "dan"),
        customers=CUSTOMERS.with_columns(may_personalise=allowed),
    )
    counts = recommend.run(night)
    lists = pl.read_parquet(night.recommendations)
    assert _products(lists, "dan") == ["green", "black", "hammer", "mint"]
    assert _of(lists, "dan")["source"].unique().to_list() == ["popular"]
    assert counts["may_not_personalise"] == 1


def test_a_history_that_should_not_be_here_is_not_used_for_an_individual_list(night):
    write_features(night, customers=CUSTOMERS.with_columns(may_personalise=False))
    recommend.run(night)
    assert pl.read_parquet(night.recommendations)["source"].unique().to_list() == ["popular"]


def test_customers_with_history_get_individual_items_of_their_own_kind_first(lists):
    teas, tools = {"green", "black", "mint"}, {"hammer", "saw", "drill"}
    for customer, own in (("ann", teas), ("ben", teas), ("cat", teas), ("dan", tools), ("eve", tools)):
        first = _of(lists, customer).head(1)
        assert first["source"].item() in OF_MODEL
        assert first["product_id"].item() in own


def test_replenishable_products_may_come_back(lists):
    assert "green" in _products(lists, "ann")


def test_bought_tools_never_come_back(lists):
    assert not {"hammer", "saw"} & set(_products(lists, "dan"))
    assert "hammer" not in _products(lists, "eve")


def test_a_returned_product_counts_as_not_bought(lists):
    assert "drill" in _products(lists, "eve")


def test_ineligible_products_are_never_recommended(lists):
    assert not INELIGIBLE & set(lists["product_id"])


def test_places_that_individual_scores_leave_are_filled_with_popular_items(night):
    """Nobody did anything but with tools: the model knows three of them, and Dan has two already."""
    tools = INTERACTIONS.filter(pl.col("customer_id").is_in(["dan", "eve"]))
    write_features(night, interactions=pl.concat([tools, TOOL_FANS]))
    recommend.run(_with(night, factors=1))
    dan = _of(pl.read_parquet(night.recommendations), "dan")
    assert dan.select("rank", "product_id", "source").rows() == [
        (1, "drill", "individual"),
        (2, "green", "popular"),
        (3, "black", "popular"),
        (4, "mint", "popular"),
    ]


def test_products_that_may_not_be_recommended_still_tell_about_taste(night):
    """Gus and Hal share only the oolong, which is out of stock; through it Gus gets Hal's mint."""
    rows = [("gus", "oolong", 1.0, True), ("hal", "oolong", 1.0, True), ("hal", "mint", 1.0, True)]
    more = pl.DataFrame([(*row, None) for row in rows], schema=INTERACTIONS.schema, orient="row")
    customers = CUSTOMERS.head(2).with_columns(customer_id=pl.Series(["gus", "hal"]))
    write_features(night, interactions=pl.concat([INTERACTIONS.filter(customer_id="dan"), more]), customers=customers)
    recommend.run(night)
    first = _of(pl.read_parquet(night.recommendations), "gus").head(1)
    assert first.select("product_id", "source").row(0) == ("mint", "individual")


def test_topic_rules_hold_for_every_source(night):
    """Ann wants no green tea, Dan less of tools, and Fay, about whom nothing is known, said she likes tools."""
    told = rules(
        ("ann", "exclude", "tea > green", None),
        ("dan", "demote", "tools", 0.0001),
        ("fay", "lift", "tools", 3.0),
        ("cat", "limit", "tea", 1),
    )
    interactions = pl.concat([INTERACTIONS, TOOL_FANS])
    write_features(night, interactions=interactions)
    recommend.run(_with(night, k=3))
    plain = pl.read_parquet(night.recommendations)
    write_features(night, interactions=interactions, topic_rules=told)
    counts = recommend.run(_with(night, k=3))
    lists = pl.read_parquet(night.recommendations)
    assert not {"green"} & set(_products(lists, "ann"))
    before, after = (_of(frame, "dan").filter(product_id="drill")["score"].item() for frame in (plain, lists))
    assert after == pytest.approx(0.0001 * before)
    assert len({"green", "black", "mint"} & set(_products(lists, "cat"))) == 1
    assert _of(lists, "fay").select("product_id", "score", "because", "topic").rows() == [
        ("hammer", 1.0, "interested", "tools"),
        ("saw", pytest.approx(0.6), "interested", "tools"),
        ("drill", pytest.approx(0.5), "interested", "tools"),
    ]
    assert _of(lists, "fay")["source"].unique().to_list() == ["content"]
    assert counts["short_lists"] == 0
    assert counts["topic_rules"] == 4
    assert counts["rows_moved_up"] == lists["because"].count() == 3


def test_a_product_that_rests_is_left_out_for_that_customer_alone(night, lists):
    first = _products(lists, "fay")[0]
    write_features(night, rested_products=pl.DataFrame({"customer_id": ["fay"], "product_id": [first]}))
    counts = recommend.run(night)
    after = pl.read_parquet(night.recommendations)
    assert first not in _products(after, "fay")
    assert _of(after, "ann").equals(_of(lists, "ann"))
    assert counts["rested_products"] == 1


def test_no_more_of_a_category_than_the_shop_file_allows_and_lists_still_fill(night):
    """Three teas and three tools: two of each are a whole list, and everybody who can get four gets four."""
    write_features(night)
    shop = night.shop.model_copy(update={"variety": Settings(max_per_category=2)})
    recommend.run(Night(shop, RUN_DATE))
    lists = pl.read_parquet(night.recommendations)
    kinds = lists.join(PRODUCTS, on="product_id").group_by("customer_id", "top_category").len()
    assert kinds["len"].max() == 2
    assert dict(lists.group_by("customer_id").len().rows()) == {
        **dict.fromkeys(("ann", "ben", "cat", "fay"), 4),
        **dict.fromkeys(("dan",), 3),
        "eve": 4,
    }


def test_counts_add_up(night, lists):
    counts = recommend.run(night)
    assert counts["customers"] == 6
    assert counts["with_list"] == 6
    assert counts["without_individual"] == 1
    rows = {source: counts[f"{source}_rows"] for source in ("individual", "buy_again", "popular")}
    assert counts["content_rows"] == 0
    assert rows == dict(lists.group_by("source").len().rows())
    assert sum(rows.values()) == lists.height == 24
    assert counts["short_lists"] == 0
    assert counts["factors"] == 2
    assert counts["model_version"] == lists["model_version"][0]


def test_what_they_bought_before_is_labelled_so_and_no_more_of_it_than_allowed(night, lists):
    """Teas are used up, so Ben is named the three that he had; with a cap of one the best stays, and tools follow."""
    bought = INTERACTIONS.filter("is_bought").select("customer_id", "product_id")
    again = lists.filter(source="buy_again")
    assert _of(again, "ben").height == 3
    assert again.join(bought, on=bought.columns, how="anti").is_empty()
    assert lists.filter(source="individual").join(bought, on=bought.columns, how="semi").is_empty()
    shop = night.shop.model_copy(update={"variety": Settings(max_bought_again=1)})
    recommend.run(Night(shop, RUN_DATE))
    capped = pl.read_parquet(night.recommendations)
    assert _products(capped, "ben")[0] == _products(lists, "ben")[0]
    assert _of(capped, "ben").join(bought, on=bought.columns, how="semi").height == 1
    assert set(_products(capped, "ben")[1:]) == {"hammer", "saw", "drill"}


def test_reasons_are_of_the_models_rows_and_tell_bought_from_looked_at(night, lists):
    """Eve returned her drill, so what she did with it is less than buying."""
    reasons = pl.read_parquet(night.reasons)
    assert reasons.schema == REASONS
    individual = lists.filter(pl.col("source").is_in(OF_MODEL)).select("customer_id", "rank", "product_id")
    named = reasons.filter(place=1).select("customer_id", "rank", "product_id")
    assert 0 < named.height == named.join(individual, on=named.columns, how="semi").height
    own = INTERACTIONS.select("customer_id", "is_bought", because_product_id="product_id")
    known = reasons.join(own, on=["customer_id", "because_product_id"], how="left")
    assert known["is_bought"].null_count() == 0
    assert known.select((pl.col("is_bought") == (pl.col("kind") == "bought")).all()).item()
    assert reasons.filter(customer_id="fay").is_empty()


def test_a_sensitive_product_is_no_reason_even_where_it_was_learnt_from(night):
    """Features hand no such interaction on; if one slipped in, it would still not be named."""
    sensitive = pl.col("product_id").is_in(["green", "black"])
    write_features(night, products=PRODUCTS.with_columns(sensitive=sensitive))
    recommend.run(night)
    reasons = pl.read_parquet(night.reasons)
    assert reasons.height
    assert not {"green", "black"} & set(reasons["because_product_id"])


def test_the_same_features_give_the_same_bytes(night, lists):
    def content() -> dict[str, bytes]:
        files = [night.recommendations, night.reasons, *sorted(night.model.iterdir())]
        return {file.name: file.read_bytes() for file in files}

    first = content()
    write_features(
        night, interactions=INTERACTIONS.reverse(), products=PRODUCTS.reverse(), customers=CUSTOMERS.reverse()
    )
    recommend.run(night)
    assert content() == first
    assert set(first) == {
        "recommendations.parquet",
        "reasons.parquet",
        "card.json",
        "customers.parquet",
        "factors.npz",
        "products.parquet",
    }


@pytest.mark.parametrize("interactions", [INTERACTIONS.clear(), INTERACTIONS.with_columns(weight=pl.lit(0.0))])
def test_without_any_weighted_interaction_everybody_gets_popular_items(night, interactions):
    write_features(night, interactions=interactions)
    counts = recommend.run(night)
    lists = pl.read_parquet(night.recommendations)
    assert lists.schema == SCHEMA
    assert pl.read_parquet(night.reasons).schema == REASONS
    assert lists["source"].unique().to_list() == ["popular"]
    assert counts["without_individual"] == counts["with_list"] == 6
    was_bought = interactions.height > 0
    assert _products(lists, "dan") == (
        ["green", "black", "mint", "drill"] if was_bought else ["green", "black", "hammer", "mint"]
    )


def test_without_any_eligible_product_the_table_is_empty(night):
    write_features(night, products=PRODUCTS.with_columns(is_eligible=False), popularity=POPULARITY.clear())
    counts = recommend.run(night)
    lists = pl.read_parquet(night.recommendations)
    assert lists.schema == SCHEMA
    assert lists.is_empty()
    assert counts["with_list"] == 0
    assert counts["short_lists"] == 6


def test_without_customers_the_table_is_empty(night):
    write_features(night, customers=CUSTOMERS.clear())
    assert recommend.run(night)["customers"] == 0
    assert pl.read_parquet(night.recommendations).schema == SCHEMA


def test_one_customer_is_enough(night):
    write_features(night, customers=CUSTOMERS.head(1), interactions=INTERACTIONS.head(1))
    recommend.run(night)
    assert pl.read_parquet(night.recommendations).select("customer_id", "rank").rows() == [
        ("ann", rank) for rank in (1, 2, 3, 4)
    ]


def test_lists_longer_than_the_catalogue_stay_short(night):
    write_features(night)
    counts = recommend.run(_with(night, k=50))
    lists = pl.read_parquet(night.recommendations)
    lengths = dict(lists.group_by("customer_id").len().rows())
    assert lengths == {"ann": 6, "ben": 6, "cat": 6, "dan": 4, "eve": 5, "fay": 6}
    assert counts["short_lists"] == 6


@pytest.mark.parametrize(
    "missing",
    [
        "interactions",
        "products",
        "customers",
        "popularity",
        "popularity_by_country",
        "topic_rules",
        "product_topics",
        "due_products",
        "rested_products",
    ],
)
def test_a_missing_input_names_the_file_and_the_stage_to_run(night, missing):
    write_features(night)
    (night.features / f"{missing}.parquet").unlink()
    with pytest.raises(StageInputMissing, match=f"{missing}.parquet: missing. Run the features stage of 2026-03-31"):
        recommend.run(night)


def test_a_weight_that_is_no_number_stops_the_stage_and_writes_nothing(night):
    write_features(night, interactions=INTERACTIONS.with_columns(weight=pl.lit(float("nan"))))
    with pytest.raises(ModelError, match=r"interactions\.weight"):
        recommend.run(night)
    assert not night.recommendations.exists()
    assert not night.model.exists()


def test_logs_are_few_and_name_no_customer(night, caplog):
    write_features(night)
    with caplog.at_level(logging.INFO, logger="recsys"):
        recommend.run(night)
    assert 1 <= len(caplog.messages) <= 8
    assert not any(customer in " ".join(caplog.messages).split() for customer in CUSTOMERS["customer_id"])


names = st.sampled_from([f"c{i}" for i in range(5)])
things = [f"p{i}" for i in range(7)]


@settings(max_examples=tries(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    weights=st.dictionaries(st.tuples(names, st.sampled_from(things)), st.sampled_from([0.0, 0.05, 1.0, 9.0])),
    bought=st.sets(st.tuples(names, st.sampled_from(things))),
    eligible=st.sets(st.sampled_from(things)),
    replenishable=st.sets(st.sampled_from(things)),
    k=st.integers(1, 9),
    most=st.none() | st.integers(0, 3),
)
def test_laws_of_recommendations(night, weights, bought, eligible, replenishable, k, most):
    pairs = [(*pair, weight, pair in bought, None) for pair, weight in sorted(weights.items())]
    write_features(
        night,
        interactions=pl.DataFrame(pairs, schema=INTERACTIONS.schema, orient="row"),
        products=pl.DataFrame(
            {
                "product_id": things,
                "is_eligible": [thing in eligible for thing in things],
                "replenishable": [thing in replenishable for thing in things],
                "sensitive": [thing == "p6" for thing in things],
                "top_category": ["even" if place % 2 else "odd" for place in range(len(things))],
                "brand": ["first" if place < 3 else None for place in range(len(things))],
            }
        ),
        customers=CUSTOMERS.head(5).with_columns(customer_id=pl.Series([f"c{i}" for i in range(5)])),
        popularity=pl.DataFrame(
            [(thing, rank) for rank, thing in enumerate(sorted(eligible), 1)],
            schema={"product_id": pl.String, "rank": pl.Int64},
            orient="row",
        ),
    )
    shop = _with(night, k=k).shop.model_copy(update={"variety": Settings(max_bought_again=most)})
    recommend.run(Night(shop, RUN_DATE))
    lists = pl.read_parquet(night.recommendations)
    assert set(lists["product_id"]) <= eligible
    assert (lists["score"] > 0).all()
    assert "p6" not in pl.read_parquet(night.reasons)["because_product_id"]
    for customer in (f"c{i}" for i in range(5)):
        own = _of(lists, customer)
        barred = {thing for thing in things if (customer, thing) in bought & set(weights)} - replenishable
        again = eligible & {thing for thing in things if (customer, thing) in bought & set(weights)} - barred
        named = len(eligible - barred) - max(0, len(again) - (len(again) if most is None else most))
        assert own["rank"].to_list() == list(range(1, min(k, named) + 1))
        assert own["product_id"].n_unique() == own.height
        assert not set(own["product_id"]) & barred
        has_history = any(weight > 0 for (owner, _), weight in weights.items() if owner == customer)
        assert has_history or not {*OF_MODEL} & set(own["source"])
        for thing, source in own.select("product_id", "source").iter_rows():
            is_bought = (customer, thing) in bought & set(weights)
            assert source in ({"buy_again", "popular"} if is_bought else {"individual", "popular"})
        assert most is None or sum((customer, thing) in bought & set(weights) for thing in own["product_id"]) <= most
