"""Deltas, applied night after night, whatever arrived and whatever nobody knows of, leave exactly tonight's file."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pytest
from channel_contract import item
from dbt_nights import Built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import tries
from tool_contract import known_after, person, put, tool

from recsys.channels.tool_file import ToolFile

FIRST = date(2026, 3, 1)
PEOPLE = ["ann", "ben", "cat", "dan"]
ADDRESSES = [(f"{name}@example.com", f"+491511234567{place}") for place, name in enumerate(["one", "two", "three"])]
KINDS: list[dict[str, Any]] = [
    {"kind": "klaviyo"},
    {"kind": "klaviyo", "format": "json"},
    {"kind": "klaviyo", "contact_channel": "sms"},
    {"kind": "braze", "format": "jsonl"},
    {"kind": "braze", "identifier": "email", "fields": ["first_name"]},
    {"kind": "sfmc", "format": "txt"},
    {"kind": "mailchimp"},
    {"kind": "hubspot"},
]


class Warehouse:
    """The compiled models about what a tool holds, on tables in memory that are filled anew for each night."""

    def __init__(self, built: Built) -> None:
        self.con = duckdb.connect(":memory:")
        self.con.execute(
            """
            ATTACH ':memory:' AS warehouse; USE warehouse;
            CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA marketing; CREATE SCHEMA exports;
            CREATE TABLE staging.stg_night__past_recipients
                (campaign VARCHAR, channel VARCHAR, customer_id VARCHAR, address VARCHAR, run_date DATE);
            CREATE TABLE staging.stg_night__past_rows
                (channel VARCHAR, customer_id VARCHAR, email VARCHAR, phone VARCHAR, row_sha VARCHAR, run_date DATE);
            CREATE TABLE staging.stg_night__past_nights (channel VARCHAR, is_delivered BOOLEAN, run_date DATE);
            CREATE TABLE staging.stg_night__settings (run_date DATE);
            CREATE TABLE staging.stg_night__channels
                (channel VARCHAR, kind VARCHAR, contact_channel VARCHAR, address_kind VARCHAR);
            CREATE TABLE marketing.fct_decisions (channel VARCHAR, customer_id VARCHAR, status VARCHAR);
            CREATE TABLE intermediate.int_customers__addressed
                (customer_id VARCHAR, contact_channel VARCHAR, address VARCHAR, is_valid BOOLEAN);
            """
        )
        for schema, model in (
            ("intermediate", "int_recipients__named"),
            ("marketing", "fct_removals"),
            ("exports", "sync_tool__removals"),
            ("exports", "sync_tool__held"),
        ):
            self.con.execute(f"CREATE VIEW {schema}.{model} AS {built.sql(model)}")

    def fill(self, table: str, rows: list[tuple[object, ...]]) -> None:
        self.con.execute(f"DELETE FROM {table}")
        for row in rows:
            self.con.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def rows(self, model: str) -> list[dict[str, object]]:
        found = self.con.execute(f"SELECT * FROM exports.{model} ORDER BY ALL")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def warehouse(toy_night: Built) -> Iterator[Warehouse]:
    made = Warehouse(toy_night)
    yield made
    made.con.close()


exported = st.dictionaries(
    st.sampled_from(PEOPLE), st.tuples(st.integers(0, len(ADDRESSES) - 1), st.sampled_from(["", "p1", "p2"]))
).map(lambda found: {who: what for place, (who, what) in enumerate(found.items()) if is_first(found, place, what[0])})
"""Who is exported, at which of the addresses and with which products; an address is never given twice."""
outcomes = st.tuples(st.booleans(), st.booleans(), st.booleans())
"""Whether it is known that the night arrived; if not, whether the files about who left did, and the own one."""


def is_first(found: dict[str, tuple[int, str]], place: int, address: int) -> bool:
    return address not in [other for other, _ in list(found.values())[:place]]


def apply(state: dict[str, tuple[object, ...]], channel: ToolFile, files: Path, day: date, what: str) -> None:
    """Import one of a night's files as the tool would: rows by identifier, removed ones gone."""
    names = dict(zip(("", "remove", "clear"), channel.files(day), strict=False))
    rows = channel.read(files / names[what])
    for row in rows.iter_rows(named=True):
        identifier = str(row[channel.identifier])
        if what == "remove":
            state.pop(identifier, None)
        else:
            state[identifier] = tuple(row[name] for name in sorted(row))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@given(nights=st.lists(st.tuples(exported, outcomes), min_size=1, max_size=4))
@settings(
    max_examples=tries(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
def test_deltas_applied_in_order_give_exactly_the_last_nights_full_file(
    warehouse: Warehouse, kind: dict[str, Any], nights: list[tuple[dict[str, tuple[int, str]], tuple[bool, ...]]]
) -> None:
    delta, full = tool(**kind, rows="delta"), tool(**kind)
    address_kind = delta.settings.address_kind
    warehouse.fill(
        "staging.stg_night__channels",
        [("tool", kind["kind"], delta.settings.contact_channel.value, address_kind)],
    )
    state: dict[str, tuple[object, ...]] = {}
    recipients: list[tuple[object, ...]] = []
    rows: list[tuple[object, ...]] = []
    past: list[tuple[object, ...]] = []
    for number, (people, (is_known, removes_arrived, own_arrived)) in enumerate(nights):
        day, is_last = FIRST + timedelta(days=number), number == len(nights) - 1
        chosen = {who: ADDRESSES[place] for who, (place, _) in people.items()}
        warehouse.fill("staging.stg_night__settings", [(day,)])
        warehouse.fill("staging.stg_night__past_recipients", recipients)
        warehouse.fill("staging.stg_night__past_rows", rows)
        warehouse.fill("staging.stg_night__past_nights", past)
        statuses = [("tool", who, "exported" if who in people else "no_consent") for who in PEOPLE]
        warehouse.fill("marketing.fct_decisions", list(statuses))
        valid = [(who, to, chosen[who][place], True) for who in people for place, to in enumerate(("email", "sms"))]
        warehouse.fill("intermediate.int_customers__addressed", list(valid))
        with TemporaryDirectory() as folder:
            made = [person(who, email=chosen[who][0], phone=chosen[who][1]) for who in people]
            items = [item(who, 1, what) for who, (_, what) in people.items() if what]
            left, held = warehouse.rows("sync_tool__removals"), warehouse.rows("sync_tool__held")
            decisions = put(Path(folder) / "decisions", delta, made, items, left, held)
            delta.render(decisions, Path(folder) / "delta", day, Path(folder) / "rows.parquet")
            full.render(decisions, Path(folder) / "full", day)
            if is_known or is_last or removes_arrived:
                apply(state, delta, Path(folder) / "delta", day, "remove")
            if is_known or is_last or own_arrived:
                apply(state, delta, Path(folder) / "delta", day, "")
            wanted: dict[str, tuple[object, ...]] = {}
            apply(wanted, full, Path(folder) / "full", day, "")
            known = pl.read_parquet(Path(folder) / "rows.parquet")
        if is_known or is_last:
            assert state == wanted
        assert known.height == len(people)
        past.append(("tool", is_known, day))
        recipients += [
            ("recommendations", "tool", row["customer_id"], row[address_kind] if address_kind else None, day)
            for row in known.iter_rows(named=True)
        ]
        rows += [("tool", *row, day) for row in known.iter_rows()]


def test_what_did_not_change_is_not_said_again(warehouse: Warehouse, tmp_path: Path) -> None:
    channel = tool(kind="klaviyo", rows="delta")
    people, items = [person("ann"), person("ben")], [item(who, 1, "p1") for who in ("ann", "ben")]
    known = known_after(channel, put(tmp_path / "decisions", channel, people, items))
    held = known.with_columns(channel=pl.lit("tool"), is_everywhere=pl.lit(value=True)).to_dicts()
    changed = [item("ann", 1, "p1"), item("ben", 1, "p2")]
    decisions = put(tmp_path / "decisions", channel, people, changed, held=held)
    assert channel.render(decisions, tmp_path / "files", FIRST) == 1
    rows = channel.read(tmp_path / "files" / "tool_20260301.csv")
    assert rows["email"].to_list() == ["ben@example.com"]


def test_a_delta_of_columns_that_change_every_night_is_refused() -> None:
    with pytest.raises(ValueError, match="send_not_before in fields changes every row every night"):
        tool(kind="klaviyo", rows="delta", fields=["send_not_before"])
