"""The gate on reasons: whatever a night claims about a person must be theirs, allowed, and said as decided."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from expectations import contributions, permission
from expectations import evidence as evidence_of
from expectations.evidence import file_of
from recsys.config import load_shop
from recsys.night import Night
from tests import gate_night, toy

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern")
    gate_night.write_night(folder)
    return folder


@pytest.fixture
def night(pattern: Path, tmp_path: Path) -> Night:
    shutil.copytree(pattern, tmp_path / "shop")
    return Night(load_shop(tmp_path / "shop" / "shop.yaml"), toy.RUN_DATE)


def failures(night: Night) -> set[str]:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    permissions = permission.gather(night)
    found = contributions.check(evidence, permissions)
    for channel in night.shop.channels:
        found += contributions.file(evidence, permissions, channel)
    return {f"{check.suite}: {check.check}" for check in found if not check.passed}


def where(customer: str, **values: object) -> Change:
    """Put values into the rows of one customer."""
    put = [
        pl.when(pl.col("customer_id") == customer).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return lambda frame: frame.with_columns(put)


def of(check: str) -> set[str]:
    return {f"recount/reasons: {check}"}


def test_the_good_night_passes(night: Night) -> None:
    assert failures(night) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (where("dan", because_product_id="green"), {"are_their_own", "bought_was_bought", "decided_as_explained"}),
        (where("cat", kind="bought"), {"bought_was_bought", "decided_as_explained"}),
        (where("eve", because_product_id="drill"), {"bought_was_bought", "decided_as_explained"}),
        (where("ann", share=1.5), {"shares_add_up", "decided_as_explained"}),
        (where("ann", share=0.0), {"shares_add_up", "decided_as_explained"}),
        (where("ann", share=None), {"shares_add_up", "decided_as_explained"}),
        (where("ann", place=2), {"shares_add_up", "decided_as_explained"}),
        (where("ann", share=0.05), {"decided_as_explained"}),
        (where("dan", rank=2), {"of_individual_rows", "decided_as_explained"}),
        (lambda rows: rows.filter(pl.col("customer_id") != "ben"), {"decided_as_explained"}),
        (lambda rows: pl.concat([rows, rows.with_columns(place=pl.lit(2, pl.Int32))]), {"shares_add_up"}),
    ],
)
def test_a_wrong_reason_is_found(night: Night, change: Change, expected: set[str]) -> None:
    gate_night.change_parquet(night.reasons, change)
    assert failures(night) == {f"recount/reasons: {check}" for check in expected}


@pytest.mark.parametrize(
    "change",
    [
        where("ann", because_product_id="mint"),
        where("ann", because_share=0.61),
        where("fay", because_product_id="green", because_share=0.6),
        where("ann", reason_kind="looked_at"),
        where("ann", reason_kind="popular"),
        where("ann", reason_kind=None),
    ],
)
def test_a_decision_that_says_something_else_is_found(night: Night, change: Change) -> None:
    gate_night.change_parquet(night.decisions / "fct_recommendations.parquet", change)
    assert "recount/reasons: decided_as_explained" in failures(night)


def test_a_popular_row_that_claims_a_purchase_is_found(night: Night) -> None:
    row = pl.col("source") == "popular"
    gate_night.change_parquet(
        night.decisions / "fct_recommendations.parquet",
        lambda frame: frame.with_columns(reason_kind=pl.when(row).then(pl.lit("bought")).otherwise("reason_kind")),
    )
    assert failures(night) == of("decided_as_explained")


@pytest.mark.parametrize(
    ("score", "version", "is_said"),
    [
        (1.0, "als-1", True),
        (0.1, "als-1", True),
        (-0.1, "als-1", False),
        (1.0, "ranker-1+als-1", True),
        (0.1, "ranker-1+als-1", False),
        (-0.1, "ranker-1+als-1", False),
    ],
)
def test_a_reason_is_false_where_the_model_of_tastes_does_not_speak_for_the_product(
    night: Night, score: float, version: str, is_said: bool
) -> None:
    """Eve's tastes: 1 for the saw and 0 for 64 others. With two stages a drill at 0.1 is not among her own best."""
    gate_night.write_model(night, drill=score)
    gate_night.change_parquet(night.recommendations, lambda rows: rows.with_columns(model_version=pl.lit(version)))
    assert failures(night) == (set() if is_said else of("the_model_speaks_for_them"))


def test_reasons_of_a_product_that_the_model_does_not_know_are_false(night: Night) -> None:
    gate_night.change_parquet(
        night.model / "products.parquet",
        lambda frame: frame.with_columns(pl.col("product_id").replace("mint", "minted")),
    )
    assert failures(night) == of("the_model_speaks_for_them")


def test_a_reason_after_the_nights_end_is_found(night: Night) -> None:
    """Fay bought her saw on the day after; it is in raw/ of no real night, and would still not count."""
    gate_night.change_parquet(
        night.raw / "order_lines.parquet",
        lambda lines: lines.with_columns(
            ordered_at=pl.when(pl.col("customer_id") == "ann")
            .then(pl.lit(datetime(2026, 4, 1)))
            .otherwise("ordered_at")
        ),
    )
    assert failures(night) == of("are_their_own") | of("bought_was_bought")


def test_a_sensitive_reason_is_found(night: Night) -> None:
    sensitive = pl.col("product_id") == "hammer"
    gate_night.change_parquet(
        night.raw / "products.parquet", lambda products: products.with_columns(sensitive=sensitive)
    )
    assert failures(night) == of("nothing_sensitive")


def test_a_reason_without_consent_to_personalisation_is_found(night: Night) -> None:
    """Ann took it back, and her rows still speak of her purchases."""
    gate_night.change_parquet(
        night.raw / "consents.parquet",
        lambda said: said.filter((pl.col("customer_id") != "ann") | (pl.col("purpose") != "personalisation")),
    )
    channels = {f"recount/{channel.name}: nothing_personal_unallowed" for channel in night.shop.channels}
    assert failures(night) == of("only_where_personalisation_is_allowed") | channels


@pytest.mark.parametrize(
    "cell", ["Because you bought Drill", "Popular in the last 28 days", "Weil Sie Black gekauft haben", ""]
)
def test_a_file_that_says_something_else_is_found(night: Night, cell: str) -> None:
    gate_night.change_file(night, "email_file", where("ann", rec_1_reason=cell))
    assert failures(night) == {"recount/email_file: reasons_are_said_as_decided"}


@pytest.mark.parametrize(("language", "spoken"), [("de-AT", "Weil Sie Black gekauft haben"), ("xx", None), ("", None)])
def test_the_sentence_must_be_in_the_recipients_language(night: Night, language: str, spoken: str | None) -> None:
    gate_night.change_file(night, "crm_file", where("ann", language=language))
    assert bool(failures(night)) == (spoken is not None)
    if spoken:
        for slot, name in ((1, "Black"), (2, "Green")):
            put = {f"rec_{slot}_reason": f"Weil Sie {name} gekauft haben"}
            gate_night.change_file(night, "crm_file", where("ann", **put))
        assert failures(night) == set()


def test_names_that_files_make_harmless_still_count_as_said(night: Night) -> None:
    """A name with a line break is one line in the file."""
    for name in ("email_file", "crm_file"):
        gate_night.change_parquet(
            night.decisions / f"sync_{name}__items.parquet",
            lambda items: items.with_columns(reason_about=pl.col("reason_about") + "\n2"),
        )
        cells = pl.read_csv(file_of(night, name), infer_schema=False)
        said = [pl.col(column) + " 2" for column in cells.columns if column.endswith("_reason")]
        gate_night.change_file(night, name, lambda frame, said=said: frame.with_columns(said))
    assert failures(night) == set()
