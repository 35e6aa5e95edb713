"""What lists are worth by a hidden truth that one can see through."""

from datetime import date
from math import exp
from pathlib import Path

import polars as pl
import pytest

from tests.demo_worth import chances, shares

MONDAY = date(2026, 8, 31)
PER_DAY = (4.85 + 480 / 3) / 365 * 2


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """`fan` and `cold` like tea three times as much as cups, of which one is sold out; `fan` drinks up green tea."""
    tables = {
        "categories": pl.DataFrame({"category": ["tea", "cups"]}),
        "styles": pl.DataFrame({"style": ["plain"]}),
        "customers": pl.DataFrame(
            {
                "customer_id": ["fan", "cold"],
                "category_taste": [[0.75, 0.25]] * 2,
                "style_taste": [[1.0]] * 2,
                "orders_expected": [2.0, 0.0],
            }
        ),
        "products": pl.DataFrame(
            {"product_id": ["cup", "green", "mug"], "category": ["cups", "tea", "cups"], "style": ["plain"] * 3}
        ),
        "seasons": pl.DataFrame({"week": [MONDAY] * 2, "category": ["tea", "cups"], "factor": [1.0, 1.0]}),
        "product_weeks": pl.DataFrame(
            {"week": [MONDAY] * 2, "product_id": ["cup", "green"], "probability": [1.0, 1.0]}
        ),
        "rhythms": pl.DataFrame(
            {
                "customer_id": ["fan"],
                "product_id": ["green"],
                "every_days": [20.0],
                "first_date": [date(2026, 1, 1)],
                "last_date": [date(2026, 9, 5)],
            }
        ),
    }
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_chances_follow_taste_pace_and_rhythm_and_what_is_not_sold_has_none(truth: Path) -> None:
    found = {(who, what): chance for who, what, chance in chances(truth, MONDAY, 7).iter_rows()}
    assert set(found) == {(who, what) for who in ("fan", "cold") for what in ("cup", "green")}
    assert found["fan", "cup"] == pytest.approx(1 - exp(-2 * PER_DAY * 7 * 0.25))
    assert found["cold", "cup"] == pytest.approx(1 - exp(-PER_DAY * 7 * 0.25))
    assert found["fan", "green"] == pytest.approx(1 - exp(-2 * PER_DAY * 7 * 0.75) * (1 - 6 / 20))


def test_only_days_of_the_window_count(truth: Path) -> None:
    found = chances(truth, date(2026, 9, 5), 7).filter(customer_id="cold", product_id="cup")
    assert found["chance"].item() == pytest.approx(1 - exp(-PER_DAY * 2 * 0.25))


def test_the_best_list_is_worth_all_of_itself_an_empty_one_nothing(truth: Path) -> None:
    worth = chances(truth, MONDAY, 7)
    best = worth.select("customer_id", "product_id")
    assert shares(best, best, worth)["share"].to_list() == [1, 1]
    assert shares(best.clear(), best, worth)["share"].to_list() == [0, 0]
    half = shares(best.filter(product_id="cup"), best, worth)["share"]
    assert half.is_between(0, 0.5, closed="none").all()
