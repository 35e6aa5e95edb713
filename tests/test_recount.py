"""The re-count reads the finished files and the raw tables, and finds everyone who must not be written to."""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from expectations import evidence as evidence_of
from expectations import facts, learnt, permission, recount
from expectations.evidence import Evidence, file_of
from expectations.permission import Permissions, newest_statements, suppressed
from recsys.night import Night
from recsys.tables import write_parquet
from tests import gate_night, toy
from tests.gate_night import Change

END = datetime(2026, 4, 1)  # the toy night's end, UTC


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return gate_night.write_night(tmp_path)


def evidence_in(night: Night) -> Evidence:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    return evidence


def failed(night: Night, channel: int = 0) -> dict[str, str]:
    checks = recount.check(evidence_in(night), permission.gather(night), night.shop.channels[channel])
    assert {check.severity for check in checks} == {"critical"}
    return {check.check: check.detail for check in checks if not check.passed}


def failed_lists(night: Night) -> dict[str, str]:
    checks = recount.lists(evidence_in(night), permission.gather(night))
    return {check.check: check.detail for check in checks if not check.passed}


def also(customer: str, **cells: str) -> Change:
    """One more recipient: Ben's row with another id and address."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        email = {"email": pl.lit(f"{customer}@example.com")} if "email" in frame.columns else {}
        values = {name: pl.lit(value) for name, value in cells.items()}
        extra = frame.filter(pl.col("customer_id") == "ben").with_columns(
            customer_id=pl.lit(customer), **{**email, **values}
        )
        return pl.concat([frame, extra])

    return change


def with_rows(night: Night, table: str, *rows: dict[str, object]) -> None:
    """The toy shop's rows of a raw table and these."""
    toy.write_raw(night, **{table: [*toy.ROWS[table], *rows]})


def test_the_good_night_agrees(night: Night) -> None:
    assert failed(night, 0) == {}
    assert failed(night, 1) == {}


@pytest.mark.parametrize(
    ("customer", "promise"),
    [
        ("cat", "newest_statement_is_granted"),
        ("dan", "not_suppressed"),
        ("eve", "consent_not_expired"),
    ],
)
@pytest.mark.parametrize("channel", [0, 1])
def test_an_extra_recipient_without_permission_is_found(
    night: Night, customer: str, promise: str, channel: int
) -> None:
    name = night.shop.channels[channel].name
    gate_night.change_file(night, name, also(customer))
    found = failed(night, channel)
    assert promise in found
    assert found[promise] == "1 of 3 rows"
    assert set(found) == {promise, "recipients_are_those_decided", "items_are_the_recommendations"}


def test_a_stranger_in_the_file_is_no_customer_and_has_said_nothing(night: Night) -> None:
    gate_night.change_file(night, "email_file", also("ghost"))
    assert {
        "recipients_are_customers",
        "newest_statement_is_granted",
        "consent_not_expired",
        "address_is_the_customers",
    } <= set(failed(night))


def test_a_decision_to_export_does_not_make_up_for_a_missing_consent(night: Night) -> None:
    """Even where every table that dbt made agrees with the file."""
    exported = pl.when(pl.col("customer_id") == "cat").then(pl.lit("exported")).otherwise(pl.col("status"))
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: frame.with_columns(status=exported)
    )
    gate_night.change_file(night, "crm_file", also("cat", rec_1_id="black", rec_2_id="green"))
    assert failed(night, 1) == {"newest_statement_is_granted": "1 of 3 rows"}


def test_a_recipient_missing_from_the_file_is_found(night: Night) -> None:
    gate_night.change_file(night, "email_file", lambda frame: frame.filter(pl.col("customer_id") != "ann"))
    assert failed(night) == {"recipients_are_those_decided": "1 rows in the file, 2 decisions to export"}


def test_a_recipient_listed_twice_is_found(night: Night) -> None:
    gate_night.change_file(night, "crm_file", lambda frame: pl.concat([frame, frame.head(1)]))
    assert {"recipients_listed_once", "recipients_are_those_decided"} <= set(failed(night, 1))


def test_a_message_to_another_address_is_found(night: Night) -> None:
    elsewhere = pl.when(pl.col("customer_id") == "ann").then(pl.lit("ann@elsewhere.example")).otherwise(pl.col("email"))
    gate_night.change_file(night, "email_file", lambda frame: frame.with_columns(email=elsewhere))
    assert failed(night) == {"address_is_the_customers": "1 of 2 rows"}


def test_swapped_recommendations_are_found(night: Night) -> None:
    swap = {"rec_1_id": "rec_2_id", "rec_2_id": "rec_1_id"}
    gate_night.change_file(
        night, "crm_file", lambda frame: frame.with_columns(pl.col(b).alias(a) for a, b in swap.items())
    )
    assert set(failed(night, 1)) == {"items_are_the_recommendations"}


def test_a_customer_without_a_decision_is_found(night: Night) -> None:
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: frame.filter(pl.col("customer_id") != "fay")
    )
    assert failed(night) == {"every_customer_decided_once": "5 decisions for 6 customers"}


def test_a_decision_about_somebody_twice_and_another_never_is_found(night: Night) -> None:
    other = pl.when(pl.col("customer_id") == "fay").then(pl.lit("eve")).otherwise(pl.col("customer_id"))
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: frame.with_columns(customer_id=other)
    )
    assert set(failed(night)) == {"every_customer_decided_once"}


def test_an_empty_audience_agrees_when_nobody_was_to_be_exported(night: Night) -> None:
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: frame.with_columns(status=pl.lit("no_consent"))
    )
    gate_night.change_file(night, "email_file", lambda frame: frame.clear())
    assert failed(night) == {}
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: frame.with_columns(status=pl.lit("exported"))
    )
    assert set(failed(night)) == {"recipients_are_those_decided"}


@pytest.mark.parametrize(
    "statement",
    [
        {"customer_id": "ann", "channel": "email"},
        {"customer_id": "ann", "channel": "all"},
        {"email": " ANN@Example.com\u00a0", "channel": "email"},
        {"email": "\ufeffann@example.com", "channel": "all"},
        {"phone": "+49 (151) 1234-5678", "channel": "all"},
        {"customer_id": "nobody", "email": "ann@example.com", "channel": "email"},
        {"customer_id": "ann", "channel": "email", "occurred_at": END},
    ],
)
def test_a_suppression_holds_by_id_address_or_number(night: Night, statement: dict[str, object]) -> None:
    with_rows(night, "suppressions", {"reason": "complaint", "occurred_at": datetime(2026, 3, 30), **statement})
    assert failed(night, 0) == {"not_suppressed": "1 of 2 rows"}
    assert failed(night, 1) == {"not_suppressed": "1 of 2 rows"}


@pytest.mark.parametrize(
    "statement",
    [
        {"customer_id": "ann", "channel": "sms"},
        {"email": "anne@example.com", "channel": "email"},
    ],
)
def test_a_suppression_of_another_channel_night_or_person_does_not_hold(
    night: Night, statement: dict[str, object]
) -> None:
    with_rows(night, "suppressions", {"reason": "complaint", "occurred_at": datetime(2026, 3, 30), **statement})
    assert failed(night) == {}


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ("2026-03-31", None),
        ("2026-04-01", "not_paused"),
        (" 2026-04-01 ", "not_paused"),
        ("1.4.2026", "not_paused"),
        ("2026-02-30", "not_paused"),
        (None, "not_paused"),
    ],
)
def test_a_pause_holds_through_its_day_and_without_a_readable_one_for_ever(
    night: Night, value: str | None, finding: str | None
) -> None:
    pause = {"customer_id": "ann", "topic": "all", "choice": "pause_until", "value": value}
    toy.write_raw(
        night,
        preferences=[
            pause | {"value": "2026-12-31", "occurred_at": datetime(2026, 3, 1)},
            pause | {"occurred_at": datetime(2026, 3, 2)},
            pause | {"choice": "interested", "value": "2026-12-31", "occurred_at": datetime(2026, 3, 3)},
            pause | {"value": "2026-12-31", "occurred_at": END},
        ],
    )
    assert set(failed(night)) == ({finding} if finding else set())


@pytest.mark.parametrize(("birth_year", "finding"), [(2009, None), (2010, "no_minor"), (2026, "no_minor")])
def test_whoever_may_still_be_younger_is_a_minor(night: Night, birth_year: int, finding: str | None) -> None:
    young = [row | {"birth_year": birth_year} if row["customer_id"] == "ben" else row for row in toy.ROWS["customers"]]
    toy.write_raw(night, customers=young)
    assert set(failed(night, 1)) == ({finding} if finding else set())


def test_on_the_last_day_of_a_year_everybody_has_had_a_birthday() -> None:
    people = pl.DataFrame({"customer_id": ["a", "b", "c"], "birth_year": [2010, 2011, None]})
    assert permission.minors(people, 16, date(2026, 12, 31))["customer_id"].to_list() == ["b"]
    assert permission.minors(people, 16, date(2026, 12, 30))["customer_id"].to_list() == ["a", "b"]


def with_another(night: Night, consents: list[dict[str, object]], **fields: object) -> None:
    """The toy shop and one more customer record, `other`, with these statements."""
    other = toy.ROWS["customers"][0] | {"customer_id": "other"} | fields
    toy.write_raw(night, customers=[*toy.ROWS["customers"], other], consents=[*toy.ROWS["consents"], *consents])
    extra = pl.DataFrame({"customer_id": ["other", "other"], "channel": ["email_file", "crm_file"]})
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet", lambda frame: pl.concat([frame, extra], how="diagonal")
    )
    status = pl.col("status").fill_null("no_consent")
    gate_night.change_parquet(night.decisions / "fct_decisions.parquet", lambda frame: frame.with_columns(status))


@pytest.mark.parametrize("status", ["withdrawn", "denied"])
@pytest.mark.parametrize("channel", [0, 1])
def test_what_another_record_objects_to_at_an_address_holds_for_it(night: Night, status: str, channel: int) -> None:
    said = [consent("granted", NEW_YEAR, customer_id="other"), consent(status, FEBRUARY, customer_id="other")]
    with_another(night, said, email=" ANN@example.com")
    assert failed(night, channel) == {"nobody_at_an_objecting_address": "1 of 2 rows"}


def test_an_objection_on_another_channel_or_taken_back_does_not_hold(night: Night) -> None:
    said = [
        consent("withdrawn", NEW_YEAR, customer_id="other"),
        consent("granted", FEBRUARY, customer_id="other"),
        consent("withdrawn", FEBRUARY, customer_id="other", channel="sms"),
    ]
    with_another(night, said, email="ann@example.com")
    assert failed(night) == {}


def test_a_suppression_of_another_record_holds_for_its_address(night: Night) -> None:
    with_another(
        night, [consent("granted", NEW_YEAR, customer_id="other")], email="ann@example.com", phone="+4930123456"
    )
    toy.write_parquet(
        toy.frame(
            "suppressions",
            [
                *toy.ROWS["suppressions"],
                {"phone": "+49/30 123456", "channel": "all", "reason": "complaint", "occurred_at": NEW_YEAR},
            ],
        ),
        night.raw / "suppressions.parquet",
    )
    assert failed(night) == {"nobody_at_an_objecting_address": "1 of 2 rows"}


def test_two_recipients_at_one_address_are_found_in_every_kind_of_file(night: Night) -> None:
    same = [row | {"email": "ONE@example.com"} for row in toy.ROWS["customers"]]
    toy.write_raw(
        night,
        customers=same,
        suppressions=[],
        consents=[consent("granted", NEW_YEAR, customer_id=name) for name in ("ann", "ben")],
    )
    assert failed(night, 1) == {"one_recipient_per_address": "1 of 2 rows"}


def consent(status: str, at: datetime, valid_until: datetime | None = None, **fields: object) -> dict[str, object]:
    return {
        "customer_id": "ann",
        "channel": "email",
        "purpose": "marketing",
        "status": status,
        "occurred_at": at,
        "valid_until": valid_until,
    } | fields


NEW_YEAR = datetime(2026, 1, 1)
FEBRUARY = datetime(2026, 2, 1)
MARCH = datetime(2026, 3, 1)


def personal(status: str, at: datetime, valid_until: datetime | None = None, **fields: object) -> dict[str, object]:
    return consent(status, at, valid_until, purpose="personalisation", **fields)


@pytest.mark.parametrize(
    ("rows", "allowed"),
    [
        ([], True),
        ([personal("denied", FEBRUARY, channel="sms")], False),
        ([personal("withdrawn", FEBRUARY)], False),
        ([personal("withdrawn", FEBRUARY), personal("granted", MARCH)], True),
        ([personal("granted", FEBRUARY, END)], False),
        ([personal("granted", FEBRUARY, END), personal("granted", FEBRUARY, channel="post")], True),
        ([personal("granted", FEBRUARY, END + timedelta(seconds=1))], True),
        ([personal("withdrawn", END)], False),
        ([consent("withdrawn", FEBRUARY)], False),
        ([consent("withdrawn", FEBRUARY), consent("granted", FEBRUARY, channel="push")], True),
        ([consent("withdrawn", FEBRUARY), consent("granted", FEBRUARY, MARCH, channel="push")], False),
        ([consent("granted", FEBRUARY, MARCH)], True),
    ],
)
def test_an_individual_list_needs_a_consent_that_nothing_contradicts(
    night: Night, rows: list[dict[str, object]], allowed: bool
) -> None:
    with_rows(night, "consents", *rows)
    found = {} if allowed else {"individual_only_where_allowed": "3 of 11 rows"}
    assert failed_lists(night) == found


def test_a_suppression_everywhere_is_an_objection_to_personalisation(night: Night) -> None:
    barred = {"email": "ANN@example.com", "reason": "complaint", "occurred_at": NEW_YEAR}
    with_rows(night, "suppressions", barred | {"channel": "email"})
    assert failed_lists(night) == {}
    with_rows(night, "suppressions", barred | {"channel": "all"})
    assert failed_lists(night) == {"individual_only_where_allowed": "3 of 11 rows"}


def test_a_minor_with_a_list_is_found(night: Night) -> None:
    young = [row | {"birth_year": 2012} if row["customer_id"] == "fay" else row for row in toy.ROWS["customers"]]
    toy.write_raw(night, customers=young)
    assert failed_lists(night) == {"no_list_for_minors": "4 of 24 rows"}


def test_without_any_statement_nobody_has_an_individual_list(night: Night) -> None:
    toy.write_raw(night, consents=[])
    assert failed_lists(night) == {"individual_only_where_allowed": "11 of 11 rows"}


def test_what_must_not_be_known_is_no_reason_against_a_product(night: Night) -> None:
    """Dan has a hammer and a saw, Eve a hammer: once Dan may not be personalised, his are not looked up."""
    assert facts.gather(night, permission.gather(night)).bought.sort("customer_id", "product_id").rows() == [
        ("dan", "hammer"),
        ("dan", "saw"),
        ("eve", "hammer"),
    ]
    with_rows(night, "consents", personal("denied", FEBRUARY, customer_id="dan"))
    assert facts.gather(night, permission.gather(night)).bought.rows() == [("eve", "hammer")]


@pytest.mark.parametrize(
    ("row", "finding"),
    [
        (consent("denied", NEW_YEAR), "newest_statement_is_granted"),
        (consent("withdrawn", NEW_YEAR), "newest_statement_is_granted"),
        (consent("withdrawn", END - timedelta(microseconds=1)), "newest_statement_is_granted"),
        (consent("withdrawn", END), "newest_statement_is_granted"),
        (consent("withdrawn", NEW_YEAR - timedelta(seconds=1)), None),
        (consent("withdrawn", datetime(2026, 3, 1), channel="sms"), None),
        (consent("withdrawn", datetime(2026, 3, 1), purpose="personalisation"), None),
        (consent("granted", datetime(2026, 3, 1), END), "consent_not_expired"),
        (consent("granted", datetime(2026, 3, 1), END + timedelta(microseconds=1)), None),
        (consent("granted", NEW_YEAR, datetime(2026, 2, 1)), "consent_not_expired"),
    ],
)
def test_the_newest_statement_decides_and_of_equal_moments_the_strictest(
    night: Night, row: dict[str, object], finding: str | None
) -> None:
    with_rows(night, "consents", row)
    assert set(failed(night)) == ({finding} if finding else set())


STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ben"]),
        st.sampled_from(["email", "sms"]),
        st.sampled_from(["granted", "denied", "withdrawn"]),
        st.integers(0, 3),
        st.sampled_from([None, 1, 2]),
    ),
    max_size=12,
)


@settings(max_examples=tries(60), deadline=None)
@given(STATEMENTS)
def test_newest_statements_agree_with_reading_them_one_by_one(
    statements: list[tuple[str, str, str, int, int | None]],
) -> None:
    def day(number: int | None) -> datetime | None:
        return None if number is None else NEW_YEAR + timedelta(days=number)

    rows = [
        consent(status, NEW_YEAR + timedelta(days=at), day(until), customer_id=customer, channel=channel)
        for customer, channel, status, at, until in statements
    ]
    found = newest_statements(toy.frame("consents", rows), "email")
    strictness = ["withdrawn", "denied", "granted"]
    expected = {}
    for customer in ("ann", "ben"):
        said = [s for s in statements if s[:2] == (customer, "email")]
        if said:
            last = max(s[3] for s in said)
            status = min((s[2] for s in said if s[3] == last), key=strictness.index)
            ends = [s[4] for s in said if s[3] == last and s[2] == status]
            expected[customer] = (status, day(min((e for e in ends if e is not None), default=None)))
    assert {row[0]: row[1:] for row in found.rows()} == expected


def test_nobody_is_suppressed_by_what_is_unknown() -> None:
    schema = dict.fromkeys(("customer_id", "mailbox", "phone"), pl.String)
    people = pl.DataFrame([("ann", None, None)], schema=schema, orient="row")
    nameless = toy.frame(
        "suppressions",
        [{"customer_id": "ben", "channel": "all", "reason": "erased", "occurred_at": NEW_YEAR}],
    )
    nameless = nameless.rename({"email": "mailbox"})
    permissions = Permissions(people, toy.frame("consents", []), nameless)
    assert suppressed(permissions, people, "email").is_empty()


def test_the_file_itself_is_read_not_what_it_was_made_from(night: Night) -> None:
    """A row that only the bytes have is counted."""
    path = file_of(night, "crm_file")
    path.write_text(path.read_text() + '"cat","en","DE","2026-03-31","black","Black","r","green","Green","r"\n')
    assert "newest_statement_is_granted" in failed(night, 1)


def test_a_night_without_any_consent_exports_nobody(night: Night) -> None:
    toy.write_raw(night, consents=[])
    evidence = evidence_in(night)
    permissions = permission.gather(night)
    for channel in night.shop.channels:
        checks = {check.check: check for check in recount.check(evidence, permissions, channel)}
        assert checks["newest_statement_is_granted"].detail == "2 of 2 rows"


def failed_features(night: Night) -> set[str]:
    permissions = permission.gather(night)
    checks = learnt.check(night, facts.gather(night, permissions), permissions)
    return {check.check for check in checks if not check.passed}


@pytest.mark.parametrize("product", ["test", "gone"])
def test_a_feature_that_counts_what_is_sensitive_or_not_in_the_range_is_found(night: Night, product: str) -> None:
    """Ann bought such a product and looked at it on other days, and something else with it. That is in no figure."""
    line = {"order_id": "s1", "customer_id": "ann", "product_id": product, "quantity": 1, "unit_price": "9.90"}
    moment = datetime(2026, 3, 20, 10)
    view = {"event_id": "s2", "customer_id": "ann", "product_id": product, "event_type": "view", "occurred_at": moment}
    toy.write_raw(
        night,
        order_lines=[
            *toy.ROWS["order_lines"],
            line | {"ordered_at": moment},
            line | {"order_id": "o1", "ordered_at": moment},
        ],
        web_events=[*toy.ROWS["web_events"], view],
    )
    assert failed_features(night) == set()
    for column, value in (("orders", 2), ("active_days", 2), ("spend", 29.7)):
        gate_night.write_features(night)
        is_ann = pl.col("customer_id") == "ann"
        change = pl.when(is_ann).then(pl.lit(value)).otherwise(column).cast(pl.Float64).alias(column)
        gate_night.change_parquet(
            night.features / "customer_features.parquet", lambda it, do=change: it.with_columns(do)
        )
        assert failed_features(night) == {"features_count_nothing_sensitive"}, column


def test_a_visit_about_no_product_is_an_active_day(night: Night) -> None:
    visit = {"event_id": "s2", "customer_id": "ann", "event_type": "search", "occurred_at": datetime(2026, 3, 20)}
    with_rows(night, "web_events", visit)
    assert failed_features(night) == {"features_count_nothing_sensitive"}


def test_a_country_has_the_popular_list_of_its_own_buyers_and_its_customers_get_it(night: Night) -> None:
    """Four Germans bought lately; Ann did before, and Fay of Austria never."""
    people = [row | ({"country": "AT"} if row["customer_id"] == "fay" else {}) for row in toy.ROWS["customers"]]
    toy.write_raw(night, customers=people)
    recommend = night.shop.recommend.model_copy(update={"country_buyers": 4})
    night = Night(night.shop.model_copy(update={"recommend": recommend}), night.run_date)
    assert failed_features(night) == {"popular_lists_of_countries_are_theirs"}, "Germany has no list"
    popular = pl.read_parquet(night.features / "popularity.parquet")
    lists = popular.select(pl.lit("DE").alias("context"), "product_id", "rank")
    write_parquet(lists, night.features / "popularity_by_country.parquet")
    assert failed_features(night) == {"popular_lists_of_countries_are_theirs"}, "nobody gets it"
    context = pl.when(pl.col("customer_id") != "fay").then(pl.lit("DE")).alias("context")
    gate_night.change_parquet(night.features / "customers.parquet", lambda rows: rows.with_columns(context))
    assert failed_features(night) == set()
    swapped = lists.with_columns(rank=pl.col("rank").replace({1: 2, 2: 1}))
    write_parquet(swapped, night.features / "popularity_by_country.parquet")
    assert failed_features(night) == {"popular_lists_of_countries_are_theirs"}, "another order"
    write_parquet(lists, night.features / "popularity_by_country.parquet")
    too_few = Night(
        night.shop.model_copy(update={"recommend": recommend.model_copy(update={"country_buyers": 5})}), night.run_date
    )
    assert failed_features(too_few) == {"popular_lists_of_countries_are_theirs"}, "five are needed, there are four"
