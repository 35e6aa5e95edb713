"""The gate on variety: limits of categories and brands, and products that go out night after night."""

import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from expectations import evidence as evidence_of
from expectations import permission, variety
from recsys.config import load_shop
from recsys.list_settings import Variety
from recsys.night import Night
from recsys.tables import write_parquet
from tests import gate_night, toy


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern")
    gate_night.write_night(folder)
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    shutil.copytree(pattern, tmp_path / "shop")
    return tmp_path / "shop"


def night_in(folder: Path, **settings: int | None) -> Night:
    shop = load_shop(folder / "shop.yaml")
    return Night(shop.model_copy(update={"variety": Variety(**settings)}), toy.RUN_DATE)


def sent(night: Night, customer: str, product: str, *nights_ago: int) -> None:
    rows = [
        {
            "run_date": night.run_date - timedelta(days=ago),
            "channel": "email_file",
            "customer_id": customer,
            "rank": 1,
            "product_id": product,
        }
        for ago in nights_ago
    ]
    write_parquet(
        pl.DataFrame(rows, schema_overrides={"rank": pl.Int32}), night.raw / "ledger" / "items" / f"{customer}.parquet"
    )


def failures(night: Night) -> set[str]:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    return {check.check for check in variety.check(evidence, permission.gather(night)) if not check.passed}


def test_the_good_night_passes_without_limits_and_within_them(folder: Path) -> None:
    assert failures(night_in(folder)) == set()
    assert failures(night_in(folder, max_per_category=3, max_per_brand=4)) == set()


def test_three_teas_are_too_many_where_two_are_allowed(folder: Path) -> None:
    assert failures(night_in(folder, max_per_category=2)) == {"category_within_its_limit"}


def test_four_of_a_brand_are_too_many_where_three_are_allowed(folder: Path) -> None:
    night = night_in(folder, max_per_brand=3)
    gate_night.change_parquet(
        night.raw / "products.parquet", lambda products: products.with_columns(brand=pl.lit(" Leaf"))
    )
    assert failures(night) == {"brand_within_its_limit"}


def test_three_products_bought_before_are_too_many_where_two_are_allowed(folder: Path) -> None:
    """Ben has bought all three teas of his list."""
    assert failures(night_in(folder, max_bought_again=3)) == set()
    assert failures(night_in(folder, max_bought_again=2)) == {"bought_before_within_its_limit"}


@pytest.mark.parametrize(
    ("customer", "product", "source"),
    [("ann", "mint", "buy_again"), ("eve", "drill", "buy_again"), ("ann", "green", "individual")],
)
def test_what_is_called_bought_again_was_bought_and_kept(folder: Path, customer, product, source) -> None:
    """Ann never had mint, and Eve sent her drill back; green tea is not new to Ann."""
    night = night_in(folder)
    row = (pl.col("customer_id") == customer) & (pl.col("product_id") == product)
    changed = pl.when(row).then(pl.lit(source)).otherwise("source").alias("source")
    gate_night.change_parquet(night.recommendations, lambda rows: rows.with_columns(changed))
    assert failures(night) == {"buy_again_was_bought_before"}


@pytest.mark.parametrize(
    ("nights_ago", "most", "is_found"),
    [
        ((1, 2, 3), 3, True),
        ((1, 2, 3, 4), 3, True),
        ((1, 3, 4), 3, False),
        ((2, 3, 4), 3, False),
        ((1, 2), None, False),
    ],
)
def test_a_product_sent_on_every_one_of_the_last_nights_is_found(folder: Path, nights_ago, most, is_found) -> None:
    night = night_in(folder, max_nights_in_a_row=most)
    sent(night, "ann", "hammer", *nights_ago)
    assert failures(night) == ({"nothing_too_many_nights_in_a_row"} if is_found else set())


def test_what_they_buy_again_may_be_due(folder: Path) -> None:
    """Ann has bought green tea, which is used up; mint she never had."""
    night = night_in(folder, max_nights_in_a_row=2)
    sent(night, "ann", "green", 1, 2)
    assert failures(night) == set()
    sent(night, "ann", "mint", 1, 2)
    assert failures(night) == {"nothing_too_many_nights_in_a_row"}
