"""Which customer an id belongs to: on a night of its own, and as a law, against a search written in Python."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pytest
from dbt_nights import Built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.database import connect, small_frame

EPOCH = datetime(2026, 1, 1)
IDS = "abcdefghij"
Sighting = tuple[str, str, int]


def test_visitors_are_resolved_through_ids_nobody_knows(hard_night: Built) -> None:
    with connect(hard_night.night.warehouse, read_only=True) as con:
        query = "SELECT visitor_id, customer_id, links FROM intermediate.int_visitors__resolved ORDER BY visitor_id"
        assert small_frame(con, query).rows() == [
            ("banned-old", "banned", 1),
            ("borrowed-old", "borrowed", 1),
            ("chain-1", "new", 3),
            ("chain-2", "new", 2),
            ("chain-3", "new", 1),
            ("renamed-old", "renamed", 1),
            ("returned-old", "returned", 1),
            ("tie", "new", 1),
        ]
        visitors = "SELECT customer_id, visitors FROM core.dim_customers WHERE visitors > 0 OR customer_id = 'old'"
        assert {("new", 4), ("old", 0)} < set(small_frame(con, visitors).rows())


def test_what_a_resolved_visitor_did_belongs_to_the_customer(hard_night: Built) -> None:
    with connect(hard_night.night.warehouse, read_only=True) as con:
        query = "SELECT customer_id, product_id, is_bought, wishlists FROM core.fct_interactions ORDER BY ALL"
        assert small_frame(con, query).rows() == [
            ("moved", "hammer", True, 0),
            ("new", "black", True, 0),
            ("new", "green", True, 0),
            ("new", "saw", False, 1),
        ]


def test_the_visit_before_sign_up_belongs_to_cat(toy_night: Built) -> None:
    with connect(toy_night.night.warehouse, read_only=True) as con:
        query = "SELECT visitor_id, customer_id, links FROM intermediate.int_visitors__resolved"
        assert small_frame(con, query).rows() == [("v-cat", "cat", 1)]


class Resolver:
    """The compiled models, on tables in memory that are filled anew each time."""

    def __init__(self, built: Built) -> None:
        self.linked, self.resolved = built.sql("int_identities__linked"), built.sql("int_visitors__resolved")
        self.con = duckdb.connect(":memory:")
        self.con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        self.con.execute("CREATE SCHEMA staging; CREATE SCHEMA intermediate")
        self.con.execute("CREATE TABLE staging.stg_shop__customers (customer_id VARCHAR)")
        self.con.execute(
            "CREATE TABLE staging.stg_shop__identities (visitor_id VARCHAR, customer_id VARCHAR, seen_at TIMESTAMP)"
        )
        for table, moment in (("web_events", "occurred_at"), ("order_lines", "ordered_at")):
            self.con.execute(
                f"CREATE TABLE staging.stg_shop__{table} (visitor_id VARCHAR, customer_id VARCHAR, {moment} TIMESTAMP)"
            )

    def __call__(self, customers: set[str], sightings: list[Sighting]) -> dict[str, tuple[str, int]]:
        for table in ("customers", "identities", "web_events", "order_lines"):
            self.con.execute(f"DELETE FROM staging.stg_shop__{table}")
        for customer in customers:
            self.con.execute("INSERT INTO staging.stg_shop__customers VALUES (?)", [customer])
        tables = ("identities", "web_events", "order_lines")
        for number, (one, other, day) in enumerate(sightings):
            self.con.execute(
                f"INSERT INTO staging.stg_shop__{tables[number % 3]} VALUES (?, ?, ?)",
                [one, other, EPOCH + timedelta(days=day)],
            )
        self.con.execute(f"CREATE OR REPLACE TABLE intermediate.int_identities__linked AS {self.linked}")
        rows = self.con.execute(self.resolved).fetchall()
        assert len({row[0] for row in rows}) == len(rows)
        return {visitor: (customer, links) for visitor, customer, links in rows}


@pytest.fixture(scope="module")
def resolver(toy_night: Built) -> Iterator[Resolver]:
    resolver = Resolver(toy_night)
    yield resolver
    resolver.con.close()


def searched(customers: set[str], sightings: list[Sighting]) -> dict[str, tuple[str, int]]:
    """The same answer, one ring of ids after the other."""
    last: dict[tuple[str, str], int] = {}
    for one, other, day in sightings:
        for pair in ((one, other), (other, one)):
            last[pair] = max(day, last.get(pair, day))
    found: dict[str, tuple[str, int]] = {customer: (customer, 0) for customer in customers}
    distance = 0
    while True:
        distance += 1
        ring: dict[str, tuple[int, str]] = {}
        for (one, other), day in last.items():
            if one in found or other not in found:
                continue
            candidate = (-day, found[other][0])
            ring[one] = min(candidate, ring.get(one, candidate))
        if not ring:
            return {one: answer for one, answer in found.items() if one not in customers}
        found |= {one: (customer, distance) for one, (_, customer) in ring.items()}


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    customers=st.sets(st.sampled_from(IDS[:4])),
    sightings=st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.integers(0, 3)), max_size=14),
)
def test_every_id_goes_to_the_nearest_customer(
    resolver: Resolver, customers: set[str], sightings: list[Sighting]
) -> None:
    assert resolver(customers, sightings) == searched(customers, sightings)


def test_the_search_ends_after_a_hundred_links(resolver: Resolver) -> None:
    chain = [(f"v{step:03}", f"v{step + 1:03}", 0) for step in range(150)]
    found = resolver({"v000"}, chain)
    assert found["v100"] == ("v000", 100)
    assert set(found) == {f"v{step:03}" for step in range(1, 101)}
