"""Intervals over customers: defined everywhere, the same every time, and right 95 times of 100."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.errors import EvaluationError
from recsys.evaluation.interval import INTERVAL_SCHEMA, intervals, paired_intervals


def _values(values: list[float], name: str = "hit_rate") -> pl.DataFrame:
    ids = [f"c{i:04}" for i in range(len(values))]
    return pl.DataFrame({"customer_id": ids, name: values}, schema={"customer_id": pl.String, name: pl.Float64})


def test_a_thousand_customers_are_as_sure_as_theory_says():
    found = intervals(_values([0.0, 1.0] * 500), seed=1)
    assert found.schema == INTERVAL_SCHEMA
    metric, customers, mean, low, high = found.row(0)
    assert (metric, customers, mean) == ("hit_rate", 1_000, 0.5)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.5 / 1_000**0.5, 0.5 + 1.96 * 0.5 / 1_000**0.5), abs=0.004)


def test_where_everybody_is_alike_nothing_is_unsure():
    assert intervals(_values([0.25] * 8), seed=1).row(0) == ("hit_rate", 8, 0.25, 0.25, 0.25)


def test_of_no_customers_nothing_is_known_and_of_one_only_the_mean():
    assert intervals(_values([]), seed=1).rows() == [("hit_rate", 0, None, None, None)]
    assert intervals(_values([0.5]), seed=1).rows() == [("hit_rate", 1, 0.5, None, None)]


def test_a_small_but_steady_difference_is_seen_in_pairs_only():
    random = np.random.default_rng(5)
    other = _values(random.random(200).tolist())
    one = other.with_columns(pl.col("hit_rate") + 0.01)
    low, high = paired_intervals(one, other, seed=1).row(0)[3:]
    assert (low, high) == pytest.approx((0.01, 0.01))
    assert intervals(one, seed=1).item(0, "low") < intervals(other, seed=1).item(0, "high")


def test_another_seed_is_another_interval():
    values = _values(np.linspace(0, 1, 50).tolist())
    assert intervals(values, seed=1).row(0)[3:] != intervals(values, seed=2).row(0)[3:]


def test_a_column_gets_the_same_interval_to_the_last_bit_whatever_stands_beside_it():
    random = np.random.default_rng(3)
    both = _values(random.random(20_000).tolist()).with_columns(ndcg=random.random(20_000))
    alone = [intervals(both.select("customer_id", name), seed=1, draws=20) for name in ("hit_rate", "ndcg")]
    assert_frame_equal(intervals(both, seed=1, draws=20), pl.concat(alone), check_exact=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pl.DataFrame({"customer_id": ["ann", "ann"], "ndcg": [0.1, 0.2]}), "1 of 2 rows repeat a customer_id"),
        (pl.DataFrame({"customer_id": ["ann", "ben"], "ndcg": [0.1, None]}), "ndcg: not a finite number for 1 of 2"),
        (pl.DataFrame({"customer_id": ["ann", "ben"], "ndcg": [0.1, np.nan]}), "ndcg: not a finite number for 1 of 2"),
        (pl.DataFrame({"customer_id": ["ann"]}), "no column besides customer_id"),
    ],
)
def test_what_has_no_mean_is_an_error(values, message):
    with pytest.raises(EvaluationError, match=message):
        intervals(values, seed=1)
    with pytest.raises(EvaluationError, match=message):
        paired_intervals(values, values, seed=1)


def test_at_least_one_draw_is_needed():
    with pytest.raises(EvaluationError, match="draws is 0"):
        intervals(_values([0.5, 1.0]), seed=1, draws=0)


def test_only_the_same_customers_and_columns_make_pairs():
    with pytest.raises(EvaluationError, match="customers differ: 2 against 3, 2 in both"):
        paired_intervals(_values([0.0, 1.0]), _values([0.0, 1.0, 1.0]), seed=1)
    with pytest.raises(EvaluationError, match="columns differ"):
        paired_intervals(_values([0.0, 1.0]), _values([0.0, 1.0], "ndcg"), seed=1)


numbers = st.lists(st.floats(-1, 1), min_size=2, max_size=30)


@settings(deadline=None)
@given(values=numbers, seed=st.integers(0, 99))
def test_laws_of_intervals(values, seed):
    frame = _values(values)
    found = intervals(frame, seed, draws=50)
    mean, low, high = found.row(0)[2:]
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12
    assert mean == pytest.approx(np.mean(values), abs=1e-12)
    assert_frame_equal(intervals(frame.reverse(), seed, draws=50), found, check_exact=True)
    beside = intervals(frame.with_columns(ndcg=1 - pl.col("hit_rate")), seed, draws=50)
    assert_frame_equal(beside.head(1), found, check_exact=True)
    assert (beside.item(1, "low"), beside.item(1, "high")) == pytest.approx((1 - high, 1 - low))
    same = paired_intervals(frame, frame, seed, draws=50)
    assert same.row(0)[2:] == (0, 0, 0)


def test_the_interval_holds_the_truth_about_95_times_of_100():
    trials, customers, truth, of_difference = 1_000, 400, 1 / 5, 0.1
    random = np.random.default_rng(7)
    mine = random.beta(1, 4, (customers, trials))
    others = mine - of_difference + random.normal(0, 0.1, mine.shape)
    one, other = (
        pl.DataFrame(samples, schema=[f"trial {trial}" for trial in range(trials)]).with_row_index("customer_id")
        for samples in (mine, others)
    )
    for found, mean in [(intervals(one, seed=1), truth), (paired_intervals(one, other, seed=1), of_difference)]:
        holds = found.select((pl.col("low") <= mean) & (pl.col("high") >= mean)).to_series()
        assert 0.93 <= holds.mean() <= 0.97
