"""Who may be contacted, as a law: the SQL of the night against the same rules in plain Python, on people made up."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

import duckdb
import pytest
from dbt_nights import Built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from permission_oracle import CHANNELS, Oracle
from thorough import tries

from recsys.vocabulary import ContactChannel

END = datetime(2026, 4, 1)
EMAILS = ["ann@example.com", " Ann@Example.COM\t", "ben@example.com", "ben at home", None]
PHONES = ["+491511234567", "+49 (151) 123-45.67", "+49/1511234568", "0151 1234567", None]
NAMES = ["ann", "ben", "cat"]
SCHEMA = """
    CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA core;
    CREATE TABLE staging.stg_night__settings AS
        SELECT TIMESTAMP '2026-04-01' AS night_end, DATE '2026-03-31' AS run_date, 16 AS min_age;
    CREATE TABLE staging.stg_shop__customers (
        customer_id VARCHAR, email VARCHAR, phone VARCHAR, birth_year INTEGER
    );
    CREATE TABLE staging.stg_shop__preferences (
        customer_id VARCHAR, choice VARCHAR, value VARCHAR, occurred_at TIMESTAMP
    );
    CREATE TABLE staging.stg_shop__consents (
        customer_id VARCHAR, channel VARCHAR, purpose VARCHAR, status VARCHAR,
        occurred_at TIMESTAMP, valid_until TIMESTAMP
    );
    CREATE TABLE staging.stg_shop__suppressions (
        customer_id VARCHAR, email VARCHAR, phone VARCHAR, channel VARCHAR, reason VARCHAR, occurred_at TIMESTAMP
    );
    CREATE TABLE intermediate.int_visitors__resolved (visitor_id VARCHAR, customer_id VARCHAR);
    CREATE VIEW intermediate.int_ids__resolved AS
        SELECT customer_id AS id, customer_id FROM staging.stg_shop__customers;
    CREATE TABLE intermediate.int_engagements__suppressed (
        customer_id VARCHAR, contact_channel VARCHAR, reason VARCHAR, occurred_at TIMESTAMP
    );
    CREATE TABLE staging.stg_night__remembered_suppressions (
        customer_id VARCHAR, channel VARCHAR, reason VARCHAR, occurred_at TIMESTAMP
    );
"""
MODELS = (
    "int_customers__addressed",
    "int_customers__matched",
    "int_consents__current",
    "int_suppressions__matched",
    "int_addresses__objected",
    "int_preferences__paused",
    "int_customers__permitted",
)

Customer = tuple[str, str | None, str | None, int | None]
Consent = tuple[str, str, str, str, datetime, datetime | None]
Suppression = tuple[str | None, str | None, str | None, str, str, datetime]
Preference = tuple[str, str, str | None, datetime]
Answer = dict[tuple[str, str], str | None]


class Rules:
    """The compiled models, on tables in memory that are filled anew each time."""

    def __init__(self, built: Built) -> None:
        self.con = duckdb.connect(":memory:")
        self.con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        self.con.execute(SCHEMA)
        for model in MODELS:
            self.con.execute(f"CREATE VIEW intermediate.{model} AS {built.sql(model)}")
        self.con.execute(
            "CREATE VIEW core.dim_customers AS "
            "FROM staging.stg_shop__customers JOIN intermediate.int_customers__permitted USING (customer_id)"
        )
        self.contactability = built.sql("customer_contactability")

    def __call__(
        self,
        customers: list[Customer],
        consents: list[Consent],
        suppressions: list[Suppression],
        preferences: list[Preference],
    ) -> Answer:
        tables: dict[str, list[tuple[object, ...]]] = {
            "customers": [*customers],
            "consents": [*consents],
            "suppressions": [*suppressions],
            "preferences": [*preferences],
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


moments = st.integers(1, 3).map(lambda days: END - timedelta(days=days))
customer_lists = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(EMAILS),
        st.sampled_from(PHONES),
        st.sampled_from([None, None, 1980, 2009, 2010]),
    ),
    unique_by=lambda row: row[0],
    min_size=1,
)
consent_lists = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["email", "email", "sms", "push", "ads", "ads"]),
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
        st.sampled_from(["email", "sms", "ads", "all"]),
        st.sampled_from(["unsubscribe", "hard_bounce"]),
        moments,
    ),
    max_size=2,
)


preference_lists = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["pause_until", "pause_until", "interested"]),
        st.sampled_from(["2026-03-30", "2026-03-31", "2026-04-01", " 2027-01-01 ", "2026-02-30", "soon", "", None]),
        moments,
    ),
    max_size=3,
)


def rows_of(columns: str, rows: Iterable[tuple[object, ...]]) -> list[dict[str, object]]:
    return [dict(zip(columns.split(), row, strict=True)) for row in rows]


@settings(max_examples=tries(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customers=customer_lists, consents=consent_lists, suppressions=suppression_lists, preferences=preference_lists)
def test_unknown_means_no_and_the_first_reason_is_given(
    rules: Rules,
    customers: list[Customer],
    consents: list[Consent],
    suppressions: list[Suppression],
    preferences: list[Preference],
) -> None:
    oracle = Oracle(
        rows_of("customer_id email phone birth_year", customers),
        rows_of("customer_id channel purpose status occurred_at valid_until", consents),
        rows_of("customer_id email phone channel reason occurred_at", suppressions),
        rows_of("customer_id choice value occurred_at", preferences),
        run_date=date(2026, 3, 31),
        end=END,
        min_age=16,
    )
    assert rules(customers, consents, suppressions, preferences) == {
        (customer[0], channel): oracle.hindrance(customer[0], channel) for customer in customers for channel in CHANNELS
    }


def test_the_oracle_knows_every_contact_channel() -> None:
    assert tuple(ContactChannel) == CHANNELS
