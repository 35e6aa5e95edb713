"""The analysts' database: everything in it, nothing lost, never locked, readable by older DuckDBs."""

import multiprocessing
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
import report_night

from recsys import analysts
from recsys.analysts.history import HISTORY
from recsys.analysts.marts import MARTS
from recsys.delivery.record_errors import ERRORS, path_of
from recsys.errors import (
    AlreadyPublished,
    HistoryUnreadable,
    NotAudited,
    StageInputMissing,
    SumsDoNotReconcile,
    Transient,
)
from recsys.night import Night
from recsys.tables import write_parquet

README = Path(__file__).parents[1] / "README.md"
STORAGE_FORMAT_OF_1_0 = 64
DAYS = (date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31))


@contextmanager
def reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(str(path), read_only=True)
    try:
        yield con
    finally:
        con.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with reader(path) as con:
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Three finished nights of the toy shop, none of them published to the analysts yet."""
    shop = report_night.shop(tmp_path_factory.mktemp("nights"))
    built = [report_night.build(Night(shop, day), until="export.catalogue") for day in DAYS]
    return built[0]


@pytest.fixture
def nights(template, tmp_path):
    shop = report_night.copied(template, tmp_path / "shop").shop
    return tuple(Night(shop, day) for day in DAYS)


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with reader(path) as con:
        names = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        return {name: con.execute(f'FROM "{name}"').fetchall() for name in names}


def test_one_night_brings_its_marts_and_its_rows_of_history(nights):
    *_, night = nights
    counts = analysts.run(night)
    assert {mart.name for mart in MARTS} | {table.name for table in HISTORY} == set(content(night.analysts))
    assert rows(night.analysts, "SELECT customer_id FROM dim_customers") == [
        (name,) for name in ("ann", "ben", "cat", "dan", "eve", "fay")
    ]
    assert rows(night.analysts, "SELECT DISTINCT customer_id FROM contact_history ORDER BY 1") == [("ann",), ("ben",)]
    assert rows(night.analysts, "SELECT channel, file, rows FROM deliveries") == [
        ("catalogue", "catalogue_20260331.csv", 1),
        ("check_in_crm_file", "check_in_crm_file_20260331.csv", 2),
        ("check_in_email_file", "check_in_email_file_20260331.csv", 2),
        ("crm_file", "crm_file_20260331.csv", 2),
        ("email_file", "email_file_20260331.csv", 2),
    ]
    assert rows(
        night.analysts,
        "SELECT bad_rows, skipped_rows, skipped_by['gift_wrap'], is_new FROM source_files "
        "WHERE table_name = 'order_lines'",
    ) == [(1, 3, 1, True)]
    assert rows(night.analysts, "SELECT table_name, line, column_name FROM quarantine") == [
        ("order_lines", 14, "quantity")
    ]
    assert rows(night.analysts, "SELECT suite, passed FROM gate_checks") == [
        ("email_file", False),
        ("recommendations", True),
    ]
    assert rows(
        night.analysts,
        "SELECT run_date, model_version, customers, customers_with_list, recommendations, exported, held_back, "
        "warnings, absent_tables FROM nights",
    ) == [(DAYS[2], "als-2026-03-31", 6, 6, 15, 4, 8, 1, ["contacts", "editorial", "engagements", "preferences"])]
    assert (counts["recommendations"], counts["decisions"], counts["dim_products"]) == (15, 12, 8)


def test_recommendations_say_what_they_come_from_and_how_much_of_it(nights):
    *_, night = nights
    analysts.run(night)
    found = rows(
        night.analysts,
        "SELECT DISTINCT source, because_product_id, because_share FROM recommendations ORDER BY source",
    )
    assert found == [("individual", "green", 0.614), ("popular", None, None)]


def test_every_table_and_column_is_explained_and_dbt_has_the_first_word(nights):
    *_, night = nights
    analysts.run(night)
    assert rows(night.analysts, "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL") == []
    assert (
        rows(
            night.analysts,
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL",
        )
        == []
    )
    assert rows(night.analysts, "SELECT comment FROM duckdb_tables() WHERE table_name = 'dim_customers'") == [
        ("Described by dbt.",)
    ]
    assert rows(
        night.analysts,
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'dim_customers' "
        "AND column_name IN ('visitors', 'country') ORDER BY 1",
    ) == [("country", "Country, ISO 3166-1 alpha-2"), ("visitors", "Counted by dbt")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 2, 0)])
def test_the_history_is_the_same_in_whatever_order_and_however_often_nights_are_published(nights, order):
    for position in order:
        analysts.run(nights[position])
    night = nights[2]
    for table, per_night in {
        "nights": 1,
        "recommendations": 15,
        "decisions": 12,
        "deliveries": 5,
        "removals": 3,
        "check_ins": 3,
        "quarantine": 1,
    }.items():
        assert rows(night.analysts, f"SELECT run_date, count(*) FROM {table} GROUP BY 1 ORDER BY 1") == [
            (day, per_night) for day in DAYS
        ]


def test_publishing_an_older_night_again_leaves_the_marts_of_the_newest(nights):
    older, _, newest = nights
    with duckdb.connect(str(older.warehouse)) as con:
        con.execute("UPDATE core.dim_products SET name = 'as it was on the 29th'")
    analysts.run(older)
    assert rows(older.analysts, "SELECT DISTINCT name FROM dim_products") == [("as it was on the 29th",)]
    analysts.run(newest)
    of_the_newest = rows(newest.analysts, "FROM dim_products")
    assert "as it was on the 29th" not in {row[1] for row in of_the_newest}
    analysts.run(older)
    assert rows(newest.analysts, "FROM dim_products") == of_the_newest


def test_publishing_again_changes_no_row_and_does_not_grow_the_file_without_end(nights):
    *_, night = nights
    analysts.run(night)
    before = content(night.analysts)
    sizes = []
    for _ in range(5):
        analysts.run(night)
        sizes.append(night.analysts.stat().st_size)
    assert content(night.analysts) == before
    assert max(sizes) < 2 * sizes[0]


def test_rows_lie_in_the_order_of_their_keys(nights):
    for night in reversed(nights):
        analysts.run(night)
    found = rows(nights[0].analysts, "SELECT customer_id, rank FROM recommendations WHERE run_date = '2026-03-29'")
    assert found == sorted(found)
    assert len(found) == 15


def test_the_file_is_private_and_alone(nights):
    *_, night = nights
    analysts.run(night)
    assert night.analysts.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in night.published.iterdir()) == ["analysts.duckdb", "audiences"]


def test_the_storage_version_is_one_that_duckdb_1_4_reads(nights):
    first, second, _ = nights
    for night in (first, second):
        analysts.run(night)
        magic, version = struct.unpack("<4sQ", night.analysts.read_bytes()[8:20])
        assert (magic, version) == (b"DUCK", STORAGE_FORMAT_OF_1_0)


def test_an_older_duckdb_really_opens_it(nights):
    python = os.environ.get("RECSYS_OLD_DUCKDB_PYTHON")
    if not python:
        pytest.skip("RECSYS_OLD_DUCKDB_PYTHON names no interpreter that has an older DuckDB (1.4 or later)")
    for night in nights:
        analysts.run(night)
    program = """
import duckdb, sys
con = duckdb.connect(sys.argv[1], read_only=True)
tables = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
rows = sum(len(con.execute(f'FROM "{name}"').fetchall()) for name in tables)
print(duckdb.__version__.split(".")[0], len(tables), rows)
"""
    done = subprocess.run([python, "-c", program, nights[0].analysts], capture_output=True, text=True, check=False)
    tables = content(nights[0].analysts)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1", str(len(tables)), str(sum(len(found) for found in tables.values()))]


def _read_until_told(path: Path, started, stop, results) -> None:
    """Hold one connection open all the time, and open fresh ones beside it; report every odd thing seen."""
    odd, opened = [], 0
    held = duckdb.connect(str(path), read_only=True)
    first = held.execute("SELECT * FROM nights").fetchall()
    while opened < 3 or not stop.is_set():
        try:
            with duckdb.connect(str(path), read_only=True) as con:
                count, listed, marts = con.execute(
                    "SELECT (SELECT count(*) FROM nights), (SELECT count(DISTINCT run_date) FROM recommendations), "
                    "(SELECT count(*) FROM dim_customers)"
                ).fetchone()
            if count != listed or marts != 6:
                odd.append(f"{count} nights, {listed} in recommendations, {marts} customers")
            if held.execute("SELECT * FROM nights").fetchall() != first:
                odd.append("the open connection changed under its reader")
        except duckdb.Error as error:
            odd.append(str(error))
        opened += 1
        started.set()
    held.close()
    results.put((opened, len(first), odd))


def test_readers_see_the_old_night_or_the_new_one_and_never_an_error(nights):
    first, second, third = nights
    analysts.run(first)
    context = multiprocessing.get_context("spawn")
    started, stop, results = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=_read_until_told, args=(first.analysts, started, stop, results))
    process.start()
    assert started.wait(60)
    analysts.run(second)
    analysts.run(third)
    stop.set()
    opened, seen_by_held, odd = results.get(timeout=60)
    process.join(60)
    assert (seen_by_held, odd) == (1, [])
    assert opened >= 3
    assert rows(third.analysts, "SELECT count(*) FROM nights") == [(3,)]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"not a database" * 1000, id="something else"),
        pytest.param(lambda whole: whole[:5000], id="only the header"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut in half"),
        pytest.param(lambda whole: whole.replace(b"Because of your teas.", b"Because of your peas."), id="one letter"),
    ],
)
def test_a_damaged_database_is_an_error_and_is_left_as_it_is(nights, damage):
    first, second, _ = nights
    analysts.run(first)
    damaged = damage(first.analysts.read_bytes())
    assert damaged != first.analysts.read_bytes()
    first.analysts.write_bytes(damaged)
    with pytest.raises(HistoryUnreadable, match=r"analysts\.duckdb: the history of earlier nights cannot be read"):
        analysts.run(second)
    assert second.analysts.read_bytes() == damaged
    assert sorted(path.name for path in second.published.iterdir()) == ["analysts.duckdb", "audiences"]


def test_a_database_whose_rows_somebody_deleted_is_an_error(nights):
    first, second, _ = nights
    analysts.run(first)
    with duckdb.connect(str(first.analysts)) as con:
        con.execute("DELETE FROM recommendations WHERE customer_id = 'ann'")
    with pytest.raises(HistoryUnreadable, match="1 nights have other rows than were published"):
        analysts.run(second)


def test_a_database_of_another_shape_is_an_error(nights):
    first, second, _ = nights
    analysts.run(first)
    with duckdb.connect(str(first.analysts)) as con:
        con.execute("ALTER TABLE decisions DROP COLUMN items")
    with pytest.raises(HistoryUnreadable, match="table decisions is missing or has other columns"):
        analysts.run(second)


def test_recommendations_of_an_earlier_version_stay_and_say_nothing_of_shares(nights):
    first, second, _ = nights
    analysts.run(first)
    with duckdb.connect(str(first.analysts)) as con:
        con.execute("ALTER TABLE recommendations DROP COLUMN because_product_id")
        con.execute("ALTER TABLE recommendations DROP COLUMN because_share")
    analysts.run(second)
    assert rows(
        second.analysts,
        "SELECT DISTINCT run_date FROM recommendations WHERE source = 'individual' AND because_share IS NULL",
    ) == [(DAYS[0],)]


def test_a_database_of_an_earlier_version_gets_the_tables_it_lacks(nights):
    first, second, _ = nights
    analysts.run(first)
    with duckdb.connect(str(first.analysts)) as con:
        con.execute("DROP TABLE removals")
        con.execute("DROP TABLE check_ins")
    analysts.run(second)
    with duckdb.connect(str(second.analysts), read_only=True) as con:
        assert con.execute("SELECT count(DISTINCT run_date) FROM decisions").fetchall() == [(2,)]
        con.execute("SELECT * FROM removals, check_ins")


def test_a_table_that_an_analyst_added_is_kept(nights):
    first, second, _ = nights
    analysts.run(first)
    with duckdb.connect(str(first.analysts)) as con:
        con.execute("CREATE TABLE my_notes AS SELECT 42 AS answer")
    analysts.run(second)
    assert rows(second.analysts, "FROM my_notes") == [(42,)]


def test_changes_left_in_a_log_beside_the_database_are_an_error(nights):
    first, second, _ = nights
    analysts.run(first)
    first.analysts.with_name("analysts.duckdb.wal").write_bytes(b"left over")
    with pytest.raises(HistoryUnreadable, match=r"analysts\.duckdb\.wal"):
        analysts.run(second)


def test_a_database_that_somebody_writes_to_is_tried_again_later(nights):
    first, second, _ = nights
    analysts.run(first)
    program = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, first.analysts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(Transient, match="has it open for writing"):
            analysts.run(second)
        writer.stdin.close()
    analysts.run(second)


def test_what_a_killed_attempt_left_is_removed(nights):
    *_, night = nights
    for name in (".analysts.duckdb.1.tmp", ".analysts.duckdb.1.tmp.wal"):
        (night.published / name).write_bytes(b"half done")
    analysts.run(night)
    assert sorted(path.name for path in night.published.iterdir()) == ["analysts.duckdb", "audiences"]


def test_a_red_night_is_not_published(nights):
    first, second, _ = nights
    analysts.run(first)
    before = first.analysts.read_bytes()
    report_night.gate(second, {"nobody is mailed who said no": "1 of 2 rows"})
    with pytest.raises(NotAudited, match="is red"):
        analysts.run(second)
    second.verdict.unlink()
    with pytest.raises(NotAudited, match="there is no verdict"):
        analysts.run(second)
    assert first.analysts.read_bytes() == before


def test_decisions_that_changed_after_the_gate_are_not_published(nights):
    *_, night = nights
    report_night.decide(night, report_night.LISTS | {"ann": [("saw", "individual")]})
    with pytest.raises(NotAudited, match="changed after the gate"):
        analysts.run(night)
    assert not night.analysts.exists()


def test_rows_of_another_night_are_not_published(nights):
    _, second, third = nights
    for table in ("fct_recommendations.parquet", "fct_decisions.parquet"):
        shutil.copy(second.decisions / table, third.decisions / table)
    report_night.gate(third, {})
    with pytest.raises(SumsDoNotReconcile, match="only 0 of its rows are of 2026-03-31"):
        analysts.run(third)


def test_a_published_file_that_changed_is_an_error(nights):
    *_, night = nights
    (night.audience("crm_file") / "crm_file_20260331.csv").write_text("customer_id\nann\nben\ncat\n")
    with pytest.raises(AlreadyPublished, match="crm_file_20260331"):
        analysts.run(night)


def test_a_warehouse_without_marts_is_named(nights):
    *_, night = nights
    with duckdb.connect(str(night.warehouse)) as con:
        con.execute("DROP TABLE features.product_popularity")
    with pytest.raises(StageInputMissing, match=r"has no features\.product_popularity"):
        analysts.run(night)
    night.warehouse.unlink()
    with pytest.raises(StageInputMissing, match="does not exist"):
        analysts.run(night)


def test_the_queries_in_the_readme_work_as_pasted(nights):
    queries = re.findall(r"```sql\n(-- analysts\.duckdb.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) >= 3
    refused = [(nights[0].run_date, "email_file", "ben", "email_file_20260329.csv", "invalid_email", "field email")]
    book = path_of(nights[0], "email_file")
    write_parquet(pl.DataFrame(refused, schema=ERRORS.schema, orient="row"), book)
    for night in nights:
        report_night.evaluate(night)
        analysts.run(night)
    with reader(nights[0].analysts) as con:
        customer = re.compile(r"customer_id = '[^']*'")
        assert all(con.execute(customer.sub("customer_id = 'ann'", query)).fetchall() for query in queries)
