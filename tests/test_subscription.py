"""No finished file may subscribe anybody: the check of headers and of cells that are all alike."""

from pathlib import Path

import pytest

from expectations import subscription
from recsys.night import Night
from tests import gate_night, toy

WRONG = (
    "subscribed",
    "email_subscribe",
    "emailSubscribed",
    "Subscriber Status",
    "subscription_group_id",
    "unsubscribed",
    "opt_in",
    "Email Opt-In",
    "optin",
    "double_optin",
    "HasOptedOutOfEmail",
    "email_permission",
    "consent_status",
    "$consent",
    "smsConsent",
    "\uff4f\uff50\uff54\uff3f\uff49\uff4e",
    "status",
    "status_if_new",
    "accepts_marketing",
    "marketing_allowed",
    "marketing_ok",
    "can_email",
    "do_not_contact",
    "newsletter",
    "ad_user_data",
    "Einwilligung",
    "gdpr_granted",
)
INNOCENT = (
    "customer_id",
    "email",
    "first_name",
    "language",
    "country",
    "run_date",
    "rec_1_id",
    "rec_12_reason",
    "rec_1_image_url",
    "description",
    "options",
    "option_1",
    "optician",
    "adopting_shop",
    "prescription",
    "shop_tint",
    "allowance",
    "immigrant",
    "postcode",
    "contact_channel",
    "left_since",
    "reason",
    "topic_1",
    "why_1",
    "send_not_before",
    "send_not_after",
    "choices_applied",
    "statue",
    "marketing_category",
)


@pytest.mark.parametrize("name", WRONG)
def test_a_column_named_like_a_subscription_is_found(name: str) -> None:
    assert subscription.subscribes(name)


@pytest.mark.parametrize("name", INNOCENT)
def test_an_innocent_column_is_none(name: str) -> None:
    assert not subscription.subscribes(name)


@pytest.mark.parametrize("cell", ["1", "TRUE", "yes", "Subscribed", "opted_in", "Opt-In", "double opt-in", "granted"])
def test_a_cell_that_says_yes_is_found_under_any_name(cell: str) -> None:
    assert subscription.agrees("segment", cell)


@pytest.mark.parametrize("cell", ["", "no", "2026-03-31", "DE", "SI", "ja", "no_consent", "address_changed", "0.00"])
def test_other_cells_say_nothing(cell: str) -> None:
    assert not subscription.agrees("segment", cell)


def test_ids_names_and_prices_may_be_one_or_yes() -> None:
    assert not any(subscription.agrees(name, "1") for name in ("customer_id", "rec_1_id", "rec_2_price", "first_name"))


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return gate_night.write_night(tmp_path)


def _failed(night: Night) -> set[str]:
    return {f"{check.suite} {check.check}" for check in subscription.check(night) if not check.passed}


def _rewrite(night: Night, header: str, *rows: str) -> Path:
    path = night.files / "crm_file" / f"crm_file_{toy.RUN_DATE:%Y%m%d}.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_the_files_of_a_good_night_subscribe_nobody(night: Night) -> None:
    assert len(subscription.check(night)) >= 6
    assert _failed(night) == set()


def test_a_subscribing_header_is_found_in_the_bytes_and_only_its_place_is_told(night: Night) -> None:
    _rewrite(night, '"customer_id","Email Opt-In"', '"ann","false"')
    about = "subscription/crm_file/crm_file_20260331.csv"
    assert _failed(night) == {f"{about} no_column_named_like_a_subscription"}
    details = [check.detail for check in subscription.check(night) if not check.passed]
    assert details == ["1 of 2 columns, counted from 1: 2"]


def test_a_column_full_of_yes_is_found_under_an_innocent_name(night: Night) -> None:
    _rewrite(night, '"customer_id","segment"', '"ann","subscribed"', '"ben",""', '"cat","subscribed"')
    assert _failed(night) == {"subscription/crm_file/crm_file_20260331.csv no_column_that_says_yes_for_everybody"}
    _rewrite(night, '"customer_id","segment"', '"ann","subscribed"', '"ben","tea"')
    assert _failed(night) == set()


def test_a_header_alone_is_checked_too(night: Night) -> None:
    _rewrite(night, '"customer_id","subscribed"')
    assert len(_failed(night)) == 1


def test_without_files_nothing_was_checked(night: Night) -> None:
    for path in night.files.rglob("*.csv"):
        path.unlink()
    assert _failed(night) == {"subscription files_found"}
