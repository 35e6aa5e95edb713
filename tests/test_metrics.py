"""Accuracy of lists: visible answers, laws, and the same numbers as an independent library."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.errors import EvaluationError
from recsys.evaluation.metrics import METRICS_SCHEMA, accuracy

NAMES = METRICS_SCHEMA.names()[1:]
RANX = "RECSYS_RANX_PYTHON"


def _lists(**products: str) -> pl.DataFrame:
    rows = [(customer, rank, product) for customer, list_ in products.items() for rank, product in enumerate(list_, 1)]
    return pl.DataFrame(
        rows, schema={"customer_id": pl.String, "rank": pl.Int32, "product_id": pl.String}, orient="row"
    )


def _relevant(**products: str) -> pl.DataFrame:
    return _lists(**products).drop("rank")


def _judged(lists: pl.DataFrame, relevant: pl.DataFrame, k: int) -> pl.DataFrame:
    return accuracy(lists, relevant, relevant.get_column("customer_id").unique(), k)


@pytest.mark.parametrize(
    ("named", "wanted", "k", "hit_rate", "recall", "average_precision", "ndcg"),
    [
        ("ab", "ab", 2, 1, 1, 1, 1),
        ("xa", "a", 2, 1, 1, 1 / 2, 1 / np.log2(3)),
        ("axb", "abc", 3, 1, 2 / 3, (1 + 2 / 3) / 3, (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)),
        ("ab", "abcd", 2, 1, 2 / 4, 2 / 4, 1),
        ("xya", "a", 2, 0, 0, 0, 0),
        ("", "a", 2, 0, 0, 0, 0),
        ("a", "a", 9, 1, 1, 1, 1),
    ],
)
def test_what_a_list_is_worth(named, wanted, k, hit_rate, recall, average_precision, ndcg):
    judged = _judged(_lists(ann=named), _relevant(ann=wanted), k)
    assert judged.row(0)[1:] == pytest.approx((hit_rate, recall, average_precision, ndcg))


def test_one_row_per_customer_asked_for_and_none_for_anybody_else():
    judged = accuracy(_lists(ben="a", cat="a"), _relevant(ben="a", ann="b", dan="a"), pl.Series(["ben", "ann"]), 1)
    assert judged.schema == METRICS_SCHEMA
    assert judged.rows() == [("ann", 0, 0, 0, 0), ("ben", 1, 1, 1, 1)]


def test_no_customers_are_an_empty_table_of_the_same_type():
    assert accuracy(_lists(ann="a"), _relevant(ann="a"), pl.Series([], dtype=pl.String), 1).schema == METRICS_SCHEMA
    assert accuracy(_lists(), _relevant(), pl.Series([]), 1).rows() == []


@pytest.mark.parametrize(
    ("lists", "relevant", "customers", "k", "message"),
    [
        (_lists(ann="a"), _relevant(ann="a"), ["ann"], 0, "k is 0"),
        (_lists(ann="a"), _relevant(ann="a"), ["ann", "ann"], 1, "customers: 1 of 2 rows repeat a customer_id"),
        (_lists(ann="a"), _relevant(ann="aa"), ["ann"], 1, "relevant: 1 of 2 rows repeat"),
        (_lists(ann="aa"), _relevant(ann="a"), ["ann"], 2, "lists: 1 of 2 rows repeat a customer_id and product_id"),
        (
            pl.concat([_lists(ann="a"), _lists(ann="b")]),
            _relevant(ann="a"),
            ["ann"],
            2,
            "lists: 1 of 2 rows repeat a customer_id and rank",
        ),
        (_lists(ann="a").with_columns(rank=0), _relevant(ann="a"), ["ann"], 1, "a rank is below 1"),
        (_lists(ann="a"), _relevant(ann="a"), ["ann", "ben"], 1, "customers: 1 of 2 have no relevant product"),
    ],
)
def test_what_cannot_be_judged_is_an_error(lists, relevant, customers, k, message):
    with pytest.raises(EvaluationError, match=message):
        accuracy(lists, relevant, pl.Series(customers), k)


customers = st.sampled_from(["ann", "ben", "cat", "dan"])
products = "abcdefgh"
list_of = st.lists(st.sampled_from(products), unique=True).map("".join)
all_lists = st.dictionaries(customers, list_of).map(lambda lists: _lists(**lists))
all_relevant = st.dictionaries(customers, list_of.filter(bool)).map(lambda lists: _relevant(**lists))
ks = st.integers(1, 10)


@settings(deadline=None)
@given(lists=all_lists, relevant=all_relevant, k=ks, seed=st.integers(0, 9))
def test_laws_of_accuracy(lists, relevant, k, seed):
    judged = _judged(lists, relevant, k)
    assert judged["customer_id"].to_list() == sorted(set(relevant["customer_id"]))
    values = judged.select(NAMES).to_numpy()
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    assert ((values > 0) == (judged.select("hit_rate").to_numpy() == 1)).all()
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (lists, relevant)]
    assert_frame_equal(_judged(*shuffled, k), judged, check_exact=True)
    longer = _judged(lists, relevant, k + 1)
    for name in ("hit_rate", "recall", "average_precision"):
        assert (longer[name] >= judged[name]).all()


@settings(deadline=None)
@given(lists=all_lists, relevant=all_relevant, k=ks)
def test_products_that_nobody_wants_at_the_end_change_nothing(lists, relevant, k):
    lengths = lists.group_by("customer_id").agg(pl.len().cast(pl.Int32))
    tail = lengths.select("customer_id", rank=pl.col("len") + 1, product_id=pl.lit("z"))
    assert_frame_equal(_judged(pl.concat([lists, tail]), relevant, k), _judged(lists, relevant, k), check_exact=True)


@settings(deadline=None)
@given(wanted=st.dictionaries(customers, list_of.filter(bool), min_size=1))
def test_a_perfect_list_gets_1(wanted):
    values = _judged(_lists(**wanted), _relevant(**wanted), len(products)).select(NAMES).to_numpy()
    assert values == pytest.approx(1, abs=1e-12)


@pytest.mark.skipif(RANX not in os.environ, reason=f"{RANX} names no Python that has ranx")
def test_the_library_ranx_finds_the_same_numbers() -> None:
    random = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(60)]

    def draw(most: int) -> list[str]:
        return random.choice(ids, random.integers(1, most), replace=False).tolist()

    wanted = {f"c{i:03}": draw(25) for i in range(400)}
    named = {customer: draw(40) for customer in wanted if random.random() < 0.8}
    ks = [1, 3, 10, 50]
    theirs = subprocess.run(
        [os.environ[RANX], Path(__file__).with_name("ranx_oracle.py")],
        input=json.dumps({"wanted": wanted, "named": named, "ks": ks}),
        env={"NUMBA_DISABLE_JIT": "1", "HOME": os.environ.get("HOME", "/tmp")},  # its compiler takes a minute
        capture_output=True,
        text=True,
        check=True,
    )
    for k, scores in zip(ks, json.loads(theirs.stdout), strict=True):
        ours = _judged(_lists(**named), _relevant(**wanted), k)
        np.testing.assert_allclose(ours.select(NAMES).to_numpy().T, scores, rtol=0, atol=1e-9)
