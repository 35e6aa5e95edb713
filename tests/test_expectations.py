"""Every expectation of every suite: the good night passes it, and one fault fails exactly what it should fail."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from expectations import evidence as evidence_of
from expectations import facts as facts_of
from expectations import permission
from expectations.batches import Batch, batches
from expectations.evidence import Evidence, FinishedFile
from expectations.facts import Facts
from expectations.suites import DECLARED, FOLDER, Validator, suite_content
from recsys.audit import Check
from recsys.night import Night
from tests import gate_night, toy
from tests.gate_night import Change

FINISHED = "files/"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Facts]:
    night = gate_night.write_night(tmp_path_factory.mktemp("good"))
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    return evidence, facts_of.gather(night, permission.gather(night))


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


def changed(evidence: Evidence, about: str, change: Change) -> Evidence:
    """The evidence with one of its tables or finished files replaced."""
    if about == "recommendations":
        return replace(evidence, recommendations=change(evidence.recommendations))
    if about.startswith(FINISHED):
        name = about.removeprefix(FINISHED).removesuffix(" slots")
        file = FinishedFile(change(evidence.files[name].cells), is_canonical=True)
        return replace(evidence, files={**evidence.files, name: file})
    return replace(evidence, tables={**evidence.tables, about: change(evidence.tables[about])})


def batch_of(evidence: Evidence, facts: Facts, suite: str, about: str) -> Batch:
    (batch,) = (batch for batch in batches(evidence, facts) if (batch.suite, batch.about) == (suite, about))
    return batch


def failed(checks: list[Check]) -> set[str]:
    return {check.check for check in checks if not check.passed}


def where(condition: pl.Expr, **values: object) -> Change:
    """Set columns of the rows that meet the condition."""
    return lambda frame: frame.with_columns(
        pl.when(condition).then(pl.lit(value).cast(frame.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def of(customer: str, rank: int | None = None, channel: str | None = None) -> pl.Expr:
    """Rows of a customer, of a rank, of a channel."""
    condition = pl.col("customer_id") == customer
    condition = condition if rank is None else condition & (pl.col("rank") == rank)
    return condition if channel is None else condition & (pl.col("channel") == channel)


def without(condition: pl.Expr) -> Change:
    return lambda frame: frame.filter(~condition)


def twice(condition: pl.Expr, **values: object) -> Change:
    """The rows that meet the condition once more, with other values."""
    return lambda frame: pl.concat([frame, where(pl.lit(value=True), **values)(frame.filter(condition))])


@dataclass(frozen=True)
class Case:
    suite: str
    about: str
    change: Change
    fails: set[str]


def cases_of(suite: str, about: str, *faults: tuple[Change, set[str]]) -> list[Case]:
    return [Case(suite, about, change, fails) for change, fails in faults]


NO_DATE = where(of("ann"), run_date=None)
OTHER_DATE = where(of("ann"), run_date=date(2026, 3, 30))

RECOMMENDATIONS = cases_of(
    "recommendations",
    "recommendations",
    (where(of("ann", 4), rank=3), {"one_row_per_customer_and_rank", "ranks_without_gaps"}),
    (where(of("ann", 4), product_id="green"), {"no_product_twice"}),
    (where(of("fay"), customer_id=None), {"customer_present", "customer_known"}),
    (where(of("fay"), customer_id="ghost"), {"customer_known"}),
    (where(of("fay", 4), product_id="nothing"), {"product_known", "product_eligible"}),
    (where(of("fay", 4), product_id=None), {"product_known", "product_eligible"}),
    (where(of("fay", 4), product_id="oolong"), {"product_eligible"}),
    (where(of("fay", 4), product_id="test"), {"product_eligible"}),
    (where(of("dan", 4), product_id="hammer"), {"not_bought_before"}),
    (where(of("fay", 4), rank=None), {"rank_present", "score_never_rises"}),
    (twice(of("fay", 4), rank=5, product_id="saw"), {"rank_within_k"}),
    (without(of("fay", 3)), {"ranks_without_gaps"}),
    (where(of("fay", 1), source=None), {"source_present"}),
    (where(of("fay", 1), source="editorial"), {"source_vocabulary"}),
    (where(of("fay", 4), score=None), {"score_present"}),
    (where(of("fay", 4), score=0.0), {"score_in_range"}),
    (where(of("fay", 1), score=float("inf")), {"score_in_range"}),
    (where(of("fay", 4), score=float("nan")), {"score_present", "score_never_rises"}),
    (where(of("fay", 4), score=0.5), {"score_never_rises"}),
    (where(of("fay", 4), model_version=None), {"model_version_present"}),
    (where(of("fay", 4), model_version="als-2"), {"one_model_version"}),
    (NO_DATE, {"run_date_present"}),
    (OTHER_DATE, {"run_date_is_this_night"}),
)
DECISIONS = cases_of(
    "decisions",
    "fct_decisions",
    (
        twice(of("ann", channel="crm_file")),
        {"one_row_per_customer_and_channel", "every_customer_and_channel_decided"},
    ),
    (without(of("fay", channel="crm_file")), {"every_customer_and_channel_decided"}),
    (where(of("fay"), customer_id=None), {"customer_present", "customer_known"}),
    (where(of("fay"), customer_id="ghost"), {"customer_known"}),
    (where(of("fay", channel="crm_file"), channel=None), {"channel_present", "contact_channel_configured"}),
    (where(of("fay", channel="crm_file"), channel="fax"), {"channel_configured", "contact_channel_configured"}),
    (where(of("fay"), contact_channel="sms"), {"contact_channel_configured"}),
    (where(of("fay"), contact_channel=None), {"contact_channel_configured"}),
    (where(of("fay"), status=None), {"status_present"}),
    (where(of("fay"), status="perhaps"), {"status_vocabulary"}),
    (where(of("fay"), reason=None), {"reason_present"}),
    (where(of("fay"), items=None), {"items_present"}),
    (where(of("ann"), items=None), {"items_present", "exported_lists_long_enough"}),
    (where(of("fay"), items=5), {"items_within_k"}),
    (where(of("ann"), items=0), {"exported_lists_long_enough"}),
    (NO_DATE, {"run_date_present"}),
    (OTHER_DATE, {"run_date_is_this_night"}),
)
RECIPIENTS = cases_of(
    "recipients",
    "sync_email_file__recipients",
    (twice(of("ann")), {"one_row_per_recipient"}),
    (where(of("ann"), customer_id=None), {"customer_present", "customer_known", "decided_to_export"}),
    (where(of("ann"), customer_id="ghost"), {"customer_known", "decided_to_export"}),
    (where(of("ann"), customer_id="cat"), {"decided_to_export"}),
    (where(of("ann"), channel=None), {"channel_present", "decided_to_export"}),
    (where(of("ann"), channel="crm_file"), {"channel_configured"}),
    (where(of("ann"), language="english, please"), {"language_shape"}),
    (where(of("ann"), country="de"), {"country_shape"}),
) + [
    case
    for about in ("sync_crm_file__recipients", "files/email_file", "files/crm_file")
    for case in cases_of(
        "recipients",
        about,
        (twice(of("ann")), {"one_row_per_recipient"}),
        (where(of("ann"), customer_id="cat"), {"decided_to_export"}),
    )
]
ADDRESSES = [
    case
    for about in ("sync_email_file__recipients", "files/email_file")
    for case in cases_of(
        "addresses",
        about,
        (where(of("ann"), email=None), {"address_present"}),
        (where(of("ann"), email="ann at example"), {"address_shape"}),
        (where(of("ann"), email="ann@example"), {"address_shape"}),
        (where(of("ann"), email="Ann@example.com"), {"address_shape"}),
        (where(of("ann"), email="ann@example.com "), {"address_shape"}),
        (where(of("ann"), email="ann@example.com,ben@example.com"), {"address_shape"}),
        (where(of("ann"), email="a@" + "b" * 252 + ".c"), {"address_length"}),
        (where(of("ann"), email="ben@example.com"), {"one_row_per_address"}),
    )
]
ITEMS = cases_of(
    "items",
    "sync_crm_file__items",
    (where(of("ann", 2), rank=1), {"one_row_per_recipient_and_rank", "ranks_without_gaps"}),
    (where(of("ann", 2), product_id="green"), {"no_product_twice"}),
    (where(of("ann"), customer_id=None), {"customer_present", "belongs_to_recipient"}),
    (where(of("ann"), customer_id="cat"), {"belongs_to_recipient"}),
    (where(of("ann", 2), product_id=None), {"product_present", "product_known", "product_eligible"}),
    (where(of("ann", 2), product_id="nothing"), {"product_known", "product_eligible"}),
    (where(of("ann", 2), product_id="oolong"), {"product_eligible"}),
    (twice(of("ann", 1), customer_id="dan", product_id="saw"), {"belongs_to_recipient", "not_bought_before"}),
    (twice(of("ann", 2), rank=3, product_id="saw"), {"rank_within_slots"}),
    (without(of("ann", 1)), {"ranks_without_gaps"}),
    (where(of("ann", 1), product_name=None), {"product_name_present"}),
    (where(of("ann", 1), reason=None), {"reason_present"}),
) + cases_of(
    "items",
    "sync_email_file__items",
    (where(of("ann", 1), url="https://elsewhere.example/green"), {"product_facts_agree"}),
    (where(of("ann", 1), url=None), {"product_facts_agree"}),
    (where(of("ann", 1), image_url="https://shop.example/green.jpg"), {"product_facts_agree"}),
    (where(of("ann", 1), price="9.91"), {"product_facts_agree"}),
    (where(of("ann", 1), price=None), {"product_facts_agree"}),
    (where(of("ann", 1), currency="USD"), {"product_facts_agree"}),
)
SLOTS = cases_of(
    "items",
    "files/email_file slots",
    (where(of("ann"), rec_1_id="mint", rec_1_url="https://shop.example/mint"), set()),
    (where(of("ann"), rec_1_id="oolong", rec_1_url="https://shop.example/oolong"), {"product_eligible"}),
    (where(of("ann"), rec_1_id="black"), {"no_product_twice", "product_facts_agree"}),
    (where(of("ann"), rec_1_name=None), {"product_name_present"}),
    (where(of("ann"), rec_1_reason=None), {"reason_present"}),
    (where(of("ann"), rec_2_price="9,90"), {"product_facts_agree"}),
    (where(of("ann"), rec_2_id=None), {"product_present", "product_known", "product_eligible", "product_facts_agree"}),
)
AUDIENCES = [
    case
    for about in ("files/email_file", "files/crm_file")
    for case in cases_of(
        "audience_file",
        about,
        (NO_DATE, {"run_date_present"}),
        (OTHER_DATE, {"run_date_is_this_night"}),
        (where(of("ann"), rec_1_id=None, rec_2_id=None), {"enough_items"}),
    )
]
GREEN = pl.col("product_id") == "green"
CATALOGUE = [
    case
    for about in ("sync_catalogue__products", "files/catalogue")
    for case in cases_of(
        "catalogue",
        about,
        (
            where(GREEN, product_id=None),
            {
                "product_present",
                "product_known",
                "product_eligible",
                "product_of_an_exported_row",
                "product_facts_agree",
            },
        ),
        (twice(GREEN), {"one_row_per_product"}),
        (
            where(GREEN, product_id="oolong", url="https://shop.example/oolong"),
            {"product_eligible", "product_of_an_exported_row"},
        ),
        (where(GREEN, product_id="saw", url="https://shop.example/saw"), {"product_of_an_exported_row"}),
        (where(GREEN, name=None), {"name_present"}),
        (where(GREEN, price="-1"), {"price_in_range", "product_facts_agree"}),
        (where(GREEN, currency="euro"), {"currency_shape", "product_facts_agree"}),
        (where(GREEN, url="shop.example/green"), {"url_shape", "product_facts_agree"}),
        (where(GREEN, image_url="green.jpg"), {"image_url_shape", "product_facts_agree"}),
    )
]
HEADERS = [
    *(
        Case("header", about, lambda frame: frame.with_columns(birth_year=pl.lit("1980")), {"columns_allowed"})
        for about in ("recommendations", *gate_night.TABLES, "files/email_file", "files/crm_file", "files/catalogue")
    ),
    Case("header", "files/email_file", lambda frame: frame.drop("rec_2_currency"), {"columns_allowed"}),
    Case("header", "files/email_file", lambda frame: frame.select(reversed(frame.columns)), {"columns_allowed"}),
]
CASES = [
    *RECOMMENDATIONS,
    *DECISIONS,
    *RECIPIENTS,
    *ADDRESSES,
    *ITEMS,
    *SLOTS,
    *AUDIENCES,
    *CATALOGUE,
]


def test_the_good_night_passes_every_expectation(good: tuple[Evidence, Facts], validator: Validator) -> None:
    all_batches = batches(*good)
    assert {batch.suite for batch in all_batches} == set(DECLARED)
    for batch in all_batches:
        checks = validator.run(batch)
        assert failed(checks) == set(), batch.about
        assert len(checks) > DECLARED[batch.suite]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.about}-{'+'.join(sorted(case.fails))}")
def test_one_fault_fails_exactly_its_expectations(
    case: Case, good: tuple[Evidence, Facts], validator: Validator
) -> None:
    evidence, facts = good
    batch = batch_of(changed(evidence, case.about, case.change), facts, case.suite, case.about)
    assert failed(validator.run(batch)) == case.fails


@pytest.mark.parametrize("case", HEADERS, ids=lambda case: case.about)
def test_a_column_more_less_or_elsewhere_is_not_allowed(
    case: Case, good: tuple[Evidence, Facts], validator: Validator
) -> None:
    evidence, facts = good
    frame = evidence.recommendations if case.about == "recommendations" else evidence.tables.get(case.about)
    frame = evidence.files[case.about.removeprefix(FINISHED)].cells if frame is None else frame
    batch = batch_of(evidence, facts, "header", case.about)
    assert failed(validator.checks(batch, case.change(frame).clear(), suite_content("header"))) == case.fails


def test_columns_in_another_order_are_said_to_be(good: tuple[Evidence, Facts], validator: Validator) -> None:
    batch, frame = batch_of(*good, "header", "files/catalogue"), good[0].files["catalogue"].cells
    first, second, third, *rest = frame.columns
    turned = frame.select(first, third, second, *rest)
    check, *_ = validator.checks(batch, turned.clear(), suite_content("header"))
    assert check.detail == "8 columns, 8 allowed; 0 missing, 0 not allowed; in another order from column 2 on"


def test_every_expectation_of_every_suite_has_a_case_that_fails_it() -> None:
    tested = {(case.suite, check) for case in [*CASES, *HEADERS] for check in case.fails}
    written = {(suite, expectation["meta"]["check"]) for suite in DECLARED for expectation in suite_content(suite)}
    assert written == tested


def test_suites_on_disk_are_the_declared_ones_with_as_many_expectations() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DECLARED)
    for suite, number in DECLARED.items():
        content = suite_content(suite)
        assert len(content) == len({expectation["meta"]["check"] for expectation in content}) == number
        assert {expectation["severity"] for expectation in content} <= {"critical", "warning"}
        assert all(expectation["description"] for expectation in content)


RULES = suite_content("addresses")
PEOPLE = pl.DataFrame({"channel": ["email_file"] * 2, "email": ["ann@example.com", "ben@example.com"]})


def run_rules(validator: Validator, frame: pl.DataFrame, rules: list[dict[str, object]]) -> dict[str, Check]:
    batch = Batch("addresses", "people", lambda: frame)
    return {check.check: check for check in validator.checks(batch, frame, rules)}


def test_a_suite_without_expectations_fails(validator: Validator) -> None:
    checks = run_rules(validator, PEOPLE, [])
    assert failed(list(checks.values())) == {"addresses_suite_is_whole"}


def test_a_suite_that_lost_an_expectation_fails(validator: Validator) -> None:
    checks = run_rules(validator, PEOPLE, RULES[1:])
    assert failed(list(checks.values())) == {"addresses_suite_is_whole"}


def test_a_column_without_any_value_fails_though_its_expectations_pass(validator: Validator) -> None:
    shapes = [rule for rule in RULES if rule["meta"]["check"] != "address_present"]
    empty = PEOPLE.with_columns(email=pl.lit(None, pl.String))
    checks = run_rules(validator, empty, shapes)
    assert checks["address_shape"].passed
    assert not checks["addresses_columns_are_filled"].passed
    assert checks["addresses_columns_are_filled"].detail == "without any value: email"


def test_a_table_without_rows_passes_its_suite(validator: Validator) -> None:
    assert failed(list(run_rules(validator, PEOPLE.clear(), RULES).values())) == set()


def test_an_expectation_that_cannot_be_checked_fails_and_says_why(validator: Validator) -> None:
    checks = run_rules(validator, PEOPLE.drop("email"), RULES)
    check = checks["address_shape"]
    assert not check.passed
    assert check.detail == 'could not be checked: Error: The column "email" in BatchData does not exist.'


def test_a_warning_stays_a_warning(validator: Validator) -> None:
    rules = [{**rule, "severity": "warning"} for rule in RULES]
    checks = run_rules(validator, PEOPLE.with_columns(email=pl.lit("nobody")), rules)
    assert checks["address_shape"].severity == "warning"
    assert not checks["address_shape"].passed


def test_an_expectation_of_another_severity_counts_as_critical(validator: Validator) -> None:
    checks = run_rules(validator, PEOPLE, [{**rule, "severity": "info"} for rule in RULES])
    assert {check.severity for check in checks.values()} == {"critical"}


def test_results_count_and_show_no_values(good: tuple[Evidence, Facts], validator: Validator) -> None:
    evidence, facts = good
    table = "sync_email_file__recipients"
    bad = changed(evidence, table, where(of("ann"), email="ann at example"))
    checks = validator.run(batch_of(bad, facts, "addresses", table))
    (shape,) = (check for check in checks if check.check == "address_shape")
    assert shape.detail == "1 of 2 rows"
    assert not any("ann" in check.detail.split() or "@" in check.detail for check in checks)


def test_a_visitors_purchases_are_the_customers_when_every_link_leads_there(tmp_path: Path) -> None:
    night = Night(toy.write_shop(tmp_path), toy.RUN_DATE)
    at = toy.ROWS["order_lines"][0]["ordered_at"]

    def line(product: str, customer: str | None, visitor: str | None, quantity: int = 1) -> dict[str, object]:
        return {
            "order_id": product,
            "customer_id": customer,
            "visitor_id": visitor,
            "product_id": product,
            "quantity": quantity,
            "ordered_at": at,
        }

    toy.write_raw(
        night,
        order_lines=[
            line("hammer", None, "v-ann"),
            line("saw", None, "v-both"),
            line("drill", "ben", None, 2),
            line("drill", "ben", None, -2),
            line("green", "ann", None),
        ],
        identities=[
            {"visitor_id": "v-ann", "customer_id": "ann", "seen_at": at},
            {"visitor_id": "v-both", "customer_id": "ann", "seen_at": at},
            {"visitor_id": "v-both", "customer_id": "ben", "seen_at": at},
        ],
    )
    assert facts_of.gather(night, permission.gather(night)).bought.rows() == [("ann", "hammer")]
