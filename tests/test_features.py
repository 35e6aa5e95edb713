"""What dbt says is true about the toy shop's customers and products, and what the model is handed."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import report_night
from dbt_nights import Built
from toy import RUN_DATE, write_raw, write_shop

from recsys import features
from recsys.database import connect, small_frame
from recsys.errors import ConfigError, FeaturesFailed, StageInputMissing
from recsys.files import sha256_of
from recsys.night import Night
from recsys.tables import write_parquet

NIGHT_END = datetime(2026, 4, 1)


def table(built: Built, query: str) -> list[tuple[object, ...]]:
    with connect(built.night.warehouse, read_only=True) as con:
        return small_frame(con, query).rows()


def aged(weight: float, at: str) -> float:
    """A weight after ageing with the toy shop's half-life of 60 days, to a millionth."""
    days = (NIGHT_END - datetime.fromisoformat(at)).total_seconds() / 86_400
    return round(weight * 0.5 ** (days / 60), 6)


def test_interactions_are_weighted_by_kind_and_age(toy_night: Built) -> None:
    handed_on = pl.read_parquet(toy_night.night.features / "interactions.parquet")
    assert handed_on.columns == ["customer_id", "product_id", "weight", "is_bought", "is_due"]
    assert handed_on.rows() == [
        ("ann", "black", pytest.approx(aged(1.0, "2026-03-01T10:00:00"), abs=1e-9), True, None),
        ("ann", "green", pytest.approx(aged(1.0, "2026-03-01T10:00:00"), abs=1e-9), True, None),
        ("ben", "black", pytest.approx(aged(1.0, "2026-03-10T10:00:00"), abs=1e-9), True, None),
        ("ben", "green", pytest.approx(aged(1.0, "2026-03-10T10:00:00"), abs=1e-9), True, None),
        ("ben", "mint", pytest.approx(aged(1.0, "2026-03-10T10:00:00"), abs=1e-9), True, None),
        ("cat", "black", pytest.approx(aged(0.1, "2026-03-05T10:00:00"), abs=1e-9), False, None),
        ("cat", "green", pytest.approx(aged(1.0, "2026-03-11T10:00:00"), abs=1e-9), True, None),
        ("dan", "hammer", pytest.approx(aged(1.0, "2026-03-12T10:00:00"), abs=1e-9), True, None),
        ("dan", "saw", pytest.approx(aged(1.0, "2026-03-12T10:00:00"), abs=1e-9), True, None),
        ("eve", "hammer", pytest.approx(aged(1.0, "2026-03-13T10:00:00"), abs=1e-9), True, None),
    ]


def test_a_returned_product_is_not_an_interaction(toy_night: Built) -> None:
    query = "SELECT product_id FROM core.fct_interactions WHERE customer_id = 'eve'"
    assert table(toy_night, query) == [("hammer",)]
    lines = "SELECT count(*) FROM intermediate.int_order_lines__attributed WHERE product_id = 'drill'"
    assert table(toy_night, lines) == [(2,)]


def test_an_order_after_the_nights_end_was_not_seen(toy_night: Built) -> None:
    query = "SELECT orders, has_history, top_category FROM features.customer_features WHERE customer_id = 'fay'"
    assert table(toy_night, query) == [(0, False, None)]


def test_products_are_judged_and_handed_on(toy_night: Built) -> None:
    assert pl.read_parquet(toy_night.night.features / "products.parquet").rows() == [
        ("black", "Black", "tea > black", True, True, False, "tea", None),
        ("drill", "Drill", "tools", True, False, False, "tools", None),
        ("green", "Green", "tea > green", True, True, False, "tea", None),
        ("hammer", "Hammer", "tools", True, False, False, "tools", None),
        ("mint", "Mint", "tea > herbal", True, True, False, "tea", None),
        ("oolong", "Oolong", "tea > oolong", False, True, False, "tea", None),
        ("saw", "Saw", "tools", True, False, False, "tools", None),
        ("test", "Test", "health", False, False, True, "health", None),
    ]
    query = "SELECT product_id, ineligible_reason FROM core.dim_products WHERE NOT is_eligible ORDER BY product_id"
    assert table(toy_night, query) == [("oolong", "not_in_stock"), ("test", "sensitive")]


def test_popularity_counts_people_within_28_days(toy_night: Built) -> None:
    query = "SELECT product_id, buyers, buyers_ever, rank FROM features.product_popularity ORDER BY rank"
    assert table(toy_night, query) == [
        ("green", 2, 3, 1),
        ("hammer", 2, 2, 2),
        ("black", 1, 2, 3),
        ("mint", 1, 1, 4),
        ("saw", 1, 1, 5),
        ("drill", 0, 0, 6),
    ]
    handed_on = pl.read_parquet(toy_night.night.features / "popularity.parquet").rows()
    assert handed_on == table(toy_night, query)


def test_every_customer_has_features(toy_night: Built) -> None:
    query = """
        SELECT customer_id, orders, products_bought, active_days, recency_days, orders_90d, median_days_between_orders,
            spend, average_order_value, top_category, has_history, last_ordered_at
        FROM features.customer_features ORDER BY customer_id
    """
    money = Decimal("9.9000")
    ann, ben, cat, dan, eve, fay = table(toy_night, query)
    assert ann == ("ann", 1, 2, 1, 30, 1, None, 2 * money, 2 * money, "tea", True, datetime(2026, 3, 1, 10))
    assert ben == ("ben", 1, 3, 1, 21, 1, None, 3 * money, 3 * money, "tea", True, datetime(2026, 3, 10, 10))
    assert cat == ("cat", 1, 1, 2, 20, 1, None, money, money, "tea", True, datetime(2026, 3, 11, 10))
    assert dan == ("dan", 1, 2, 1, 19, 1, None, 2 * money, 2 * money, "tools", True, datetime(2026, 3, 12, 10))
    assert eve == ("eve", 2, 1, 2, 17, 2, 1.0, money, money / 2, "tools", True, datetime(2026, 3, 14, 10))
    assert fay == ("fay", 0, 0, 0, None, 0, None, 0, None, None, False, None)


def test_affinities_are_shares_of_the_weight(toy_night: Built) -> None:
    query = "SELECT customer_id, category, rank, share FROM features.customer_category_affinities ORDER BY customer_id"
    assert table(toy_night, query) == [
        ("ann", "tea", 1, 1.0),
        ("ben", "tea", 1, 1.0),
        ("cat", "tea", 1, 1.0),
        ("dan", "tools", 1, 1.0),
        ("eve", "tools", 1, 1.0),
    ]


def test_contactability_covers_every_customer_and_contact_channel(toy_night: Built) -> None:
    query = "SELECT customer_id, reason FROM marketing.customer_contactability WHERE contact_channel = 'email'"
    assert dict(table(toy_night, query)) == {
        "ann": None,
        "ben": None,
        "cat": "no_consent",
        "dan": "suppressed",
        "eve": "consent_expired",
        "fay": "invalid_address",
    }
    others = """
        SELECT contact_channel, count(*), count(*) FILTER (reason = 'no_consent' AND NOT is_contactable)
        FROM marketing.customer_contactability WHERE contact_channel <> 'email' GROUP BY ALL ORDER BY ALL
    """
    assert table(toy_night, others) == [("ads", 6, 6), ("post", 6, 5), ("push", 6, 6), ("sms", 6, 6)]


def test_the_stage_counts_for_people(toy_night: Built) -> None:
    assert toy_night.features == {
        "customers": 6,
        "may_personalise": 6,
        "products": 8,
        "eligible_products": 6,
        "interactions": 10,
        "customers_with_history": 5,
        "visitors_resolved": 1,
        "choices": 0,
        "choices_without_product": 0,
        "suppressions": 1,
        "suppressions_of_nobody": 0,
        "objecting_reactions": 0,
        "reactions_to_unknown_messages": 0,
    }


@pytest.mark.thorough
def test_a_night_that_failed_runs_again_to_the_same_bytes(hard_night: Built, tmp_path: Path) -> None:
    night = report_night.copied(hard_night.night, tmp_path / "shop")
    before = {path: sha256_of(path) for path in night.features.iterdir()}
    assert {path.stem for path in before} == set(features.HANDED_ON)

    customers = night.raw / "customers.parquet"
    sound = pl.read_parquet(customers)
    write_parquet(sound.with_columns(birth_year=pl.lit("canary@example.com")), customers)
    with pytest.raises(
        FeaturesFailed, match=r"model\.recsys\.int_customers__permitted: Conversion Error in the data"
    ) as caught:
        features.run(night)
    assert "canary" not in str(caught.value)
    assert not list((night.shop.root / "dbt" / "logs").iterdir())
    assert not night.features.exists()

    write_parquet(sound, customers)
    assert features.run(night) == hard_night.features
    assert {path: sha256_of(path) for path in night.features.iterdir()} == before


def test_everything_is_private(toy_night: Built) -> None:
    night = toy_night.night
    made = [night.warehouse, *night.features.iterdir(), *toy_night.target.rglob("*.json")]
    assert {oct(path.stat().st_mode & 0o777) for path in made} == {"0o600"}


def test_features_need_the_raw_tables(tmp_path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    write_raw(night)
    (night.raw / "consents.parquet").unlink()
    with pytest.raises(StageInputMissing, match=r"consents\.parquet not found\. Run the ingest stage first"):
        features.run(night)


def test_a_path_that_duckdb_reads_as_a_pattern_is_refused(tmp_path) -> None:
    night = Night(write_shop(tmp_path / "shop [old]"), RUN_DATE)
    write_raw(night)
    with pytest.raises(ConfigError, match="Choose a folder without these characters"):
        features.run(night)
