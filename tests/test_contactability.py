"""Who may be contacted, as a law: the SQL of the night against the same rules in plain Python, on people made up."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pytest
from dbt_nights import Built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.vocabulary import ContactChannel

END = datetime(2026, 4, 1)
CHANNELS = [channel.value for channel in ContactChannel]
EMAILS = {
    "ann@example.com": True,
    " Ann@Example.COM\t": True,
    "ben@example.com": True,
    "ben at home": False,
    None: False,
}
PHONES = {"+491511234567": True, "+49 (151) 123-45.67": True, "+491511234568": True, "0151 1234567": False, None: False}
NAMES = ["ann", "ben", "cat"]
SCHEMA = """
    CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA core;
    CREATE TABLE staging.stg_night__settings AS SELECT TIMESTAMP '2026-04-01' AS night_end;
    CREATE TABLE staging.stg_shop__customers (customer_id VARCHAR, email VARCHAR, phone VARCHAR);
    CREATE VIEW core.dim_customers AS FROM staging.stg_shop__customers;
    CREATE TABLE staging.stg_shop__consents (
        customer_id VARCHAR, channel VARCHAR, purpose VARCHAR, status VARCHAR,
        occurred_at TIMESTAMP, valid_until TIMESTAMP
    );
    CREATE TABLE staging.stg_shop__suppressions (
        customer_id VARCHAR, email VARCHAR, phone VARCHAR, channel VARCHAR, reason VARCHAR, occurred_at TIMESTAMP
    );
"""

Customer = tuple[str, str | None, str | None]
Consent = tuple[str, str, str, str, datetime, datetime | None]
Suppression = tuple[str | None, str | None, str | None, str, str, datetime]
Answer = dict[tuple[str, str], str | None]


class Rules:
    """The compiled models, on tables in memory that are filled anew each time."""

    def __init__(self, built: Built) -> None:
        self.con = duckdb.connect(":memory:")
        self.con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        self.con.execute(SCHEMA)
        for model in ("int_customers__addressed", "int_consents__current", "int_suppressions__matched"):
            self.con.execute(f"CREATE VIEW intermediate.{model} AS {built.sql(model)}")
        self.contactability = built.sql("customer_contactability")

    def __call__(self, customers: list[Customer], consents: list[Consent], suppressions: list[Suppression]) -> Answer:
        tables: dict[str, list[tuple[object, ...]]] = {
            "customers": [*customers],
            "consents": [*consents],
            "suppressions": [*suppressions],
        }
        for table, rows in tables.items():
            self.con.execute(f"DELETE FROM staging.stg_shop__{table}")
            for row in rows:
                self.con.execute(f"INSERT INTO staging.stg_shop__{table} VALUES ({', '.join('?' * len(row))})", row)
        rows = self.con.execute(
            f"SELECT customer_id, contact_channel, reason, is_contactable FROM ({self.contactability})"
        ).fetchall()
        assert all(contactable is (reason is None) for _, _, reason, contactable in rows)
        assert len(rows) == len(CHANNELS) * len(customers)
        return {(customer, channel): reason for customer, channel, reason, _ in rows}


@pytest.fixture(scope="module")
def rules(toy_night: Built) -> Iterator[Rules]:
    rules = Rules(toy_night)
    yield rules
    rules.con.close()


def plain_email(text: str | None) -> str | None:
    return text.strip().lower() if text else None


def plain_phone(text: str | None) -> str | None:
    return "".join(character for character in text if character not in " -().") if text else None


def is_suppressed(customer: Customer, channel: str, suppressions: list[Suppression]) -> bool:
    name, email, phone = customer
    return any(
        to in ("all", channel)
        and (
            who == name
            or (address is not None and plain_email(address) == plain_email(email))
            or (number is not None and plain_phone(number) == plain_phone(phone))
        )
        for who, address, number, to, _, _ in suppressions
    )


def why_not(customer: Customer, channel: str, consents: list[Consent], suppressions: list[Suppression]) -> str | None:
    name, email, phone = customer
    if is_suppressed(customer, channel, suppressions):
        return "suppressed"
    said = [row for row in consents if row[:3] == (name, channel, "marketing")]
    newest = [row for row in said if row[4] == max(other[4] for other in said)]
    if not newest or {row[3] for row in newest} != {"granted"}:
        return "no_consent"
    if any(until is not None and until <= END for *_, until in newest):
        return "consent_expired"
    reachable = {"email": EMAILS[email], "sms": PHONES[phone]}
    return None if reachable.get(channel, True) else "invalid_address"


moments = st.integers(1, 3).map(lambda days: END - timedelta(days=days))
customer_lists = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([*EMAILS]), st.sampled_from([*PHONES])),
    unique_by=lambda row: row[0],
    min_size=1,
)
consent_lists = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["email", "email", "sms", "push"]),
        st.sampled_from(["marketing", "marketing", "marketing", "personalisation"]),
        st.sampled_from(["granted", "granted", "granted", "denied", "withdrawn"]),
        moments,
        st.sampled_from([None, None, END - timedelta(seconds=1), END, END + timedelta(seconds=1)]),
    ),
    max_size=12,
)
suppression_lists = st.lists(
    st.tuples(
        st.sampled_from([None, *NAMES]),
        st.sampled_from([None, "ANN@example.com", "Ben At Home", "nobody@example.com"]),
        st.sampled_from([None, "+49 151 1234567", "+1234567890"]),
        st.sampled_from(["email", "sms", "all"]),
        st.sampled_from(["unsubscribe", "hard_bounce"]),
        moments,
    ),
    max_size=2,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customers=customer_lists, consents=consent_lists, suppressions=suppression_lists)
def test_unknown_means_no_and_the_first_reason_is_given(
    rules: Rules, customers: list[Customer], consents: list[Consent], suppressions: list[Suppression]
) -> None:
    assert rules(customers, consents, suppressions) == {
        (customer[0], channel): why_not(customer, channel, consents, suppressions)
        for customer in customers
        for channel in CHANNELS
    }
