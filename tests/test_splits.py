"""Parts of a score: every customer and every product to be found is in exactly one part of each split."""

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_recommend import CUSTOMERS, INTERACTIONS, rules, write_features
from toy import RUN_DATE, write_shop

from recsys.evaluation.splits import BEFORE, HISTORIES, NEW, STAGES, Splits
from recsys.lists import Features
from recsys.night import Night
from recsys.tables import write_parquet

PAIR = ["customer_id", "product_id"]
FACTS = pl.DataFrame(
    [
        ("ann", 12, True, "tea / active"),
        ("ben", 3, True, "tea / active"),
        ("cat", 1, True, "tea / one order"),
        ("dan", 0, True, "tools / no order"),
        ("eve", 0, False, "no category / no order"),
        ("fay", 0, False, "no category / no order"),
    ],
    schema=["customer_id", "orders", "has_history", "segment"],
    orient="row",
)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    """Ann, Ben and Cat ordered, Dan only looked, Eve said that she likes teas, and so did Ann; Fay said only noes."""
    night = Night(write_shop(tmp_path_factory.mktemp("splits")), RUN_DATE)
    told = rules(("eve", "lift", "tea", 2.0), ("ann", "lift", "tea", 2.0), ("fay", "exclude", "tools", None))
    write_features(night, topic_rules=told)
    write_parquet(FACTS, night.features / "customer_features.parquet")
    return Splits.of(Features.of(night))


def who(parts: Iterator[tuple[str, str, pl.DataFrame]]) -> dict[tuple[str, str], list[str]]:
    return {(split, part): rows["customer_id"].to_list() for split, part, rows in parts}


def test_how_well_customers_were_known(splits: Splits) -> None:
    everybody = pl.concat([CUSTOMERS.select("customer_id"), pl.DataFrame({"customer_id": ["stranger"]})])
    assert who(splits.by_stage(everybody)) == {
        ("known", "nothing"): ["fay", "stranger"],
        ("known", "interests stated"): ["eve"],
        ("known", "looked only"): ["dan"],
        ("known", "1 order"): ["cat"],
        ("known", "2-4 orders"): ["ben"],
        ("known", "5 or more orders"): ["ann"],
    }


def test_how_much_they_had_bought_and_their_segment(splits: Splits) -> None:
    assert who(splits.by_customer(CUSTOMERS.select("customer_id"))) == {
        ("history", "0 products"): ["fay"],
        ("history", "1 product"): ["cat", "eve"],
        ("history", "2-4 products"): ["ann", "ben", "dan"],
        ("segment", "no category / no order"): ["eve", "fay"],
        ("segment", "tea / active"): ["ann", "ben"],
        ("segment", "tea / one order"): ["cat"],
        ("segment", "tools / no order"): ["dan"],
    }


def test_what_was_bought_before_and_what_was_new(splits: Splits) -> None:
    wanted = pl.DataFrame([("ann", "green"), ("ann", "mint"), ("eve", "drill")], schema=PAIR, orient="row")
    assert [(part, pairs.rows()) for _, part, pairs in splits.by_product(wanted)] == [
        (BEFORE, [("ann", "green")]),
        (NEW, [("ann", "mint"), ("eve", "drill")]),  # she sent the drill back
    ]
    assert [part for _, part, _ in splits.by_product(wanted.tail(1))] == [NEW]


@given(
    people=st.sets(st.sampled_from([*FACTS["customer_id"], "stranger"])),
    wanted=st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("pq"))),
)
def test_everybody_and_everything_is_in_exactly_one_part(splits: Splits, people, wanted) -> None:
    values = pl.DataFrame({"customer_id": sorted(people)}, schema={"customer_id": pl.String})
    for parts, names in ((splits.by_stage(values), STAGES), (splits.by_customer(values), HISTORIES)):
        found = [(part, rows) for split, part, rows in parts if split != "segment"]
        assert {part for part, _ in found} <= set(names)
        assert sorted(name for _, rows in found for name in rows["customer_id"]) == sorted(people)
    pairs = pl.DataFrame(sorted(wanted), schema=dict.fromkeys(PAIR, pl.String), orient="row")
    bought = INTERACTIONS.filter("is_bought").select(PAIR)
    parts = list(splits.by_product(pl.concat([pairs, bought])))
    assert sorted(row for _, _, rows in parts for row in rows.rows()) == sorted([*wanted, *bought.rows()])
