"""Takes erased people out of the analysts' database by writing a new one: deleted rows would leave their bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from recsys.analysts.edition import STORAGE_VERSION
from recsys.database import connect, literal, quoted
from recsys.erasure.screen import IDS, Screen
from recsys.errors import HistoryUnreadable
from recsys.files import PRIVATE_FILE, read_json, replace_file
from recsys.ingest.landed import Landed
from recsys.ingest.registry import Registry
from recsys.manifest import SUCCESS, read_published

_COUNTS = """
    UPDATE edition.main.nights AS nights SET
        customers = (
            SELECT count(DISTINCT customer_id) FROM edition.main.decisions AS d WHERE d.run_date = nights.run_date
        ),
        customers_with_list = (
            SELECT count(DISTINCT customer_id) FROM edition.main.recommendations AS r WHERE r.run_date = nights.run_date
        ),
        recommendations = (SELECT count(*) FROM edition.main.recommendations AS r WHERE r.run_date = nights.run_date),
        decisions = (SELECT count(*) FROM edition.main.decisions AS d WHERE d.run_date = nights.run_date),
        exported = (
            SELECT count(*) FROM edition.main.decisions AS d
            WHERE d.run_date = nights.run_date AND d.status = 'exported'
        ),
        held_back = (
            SELECT count(*) FROM edition.main.decisions AS d
            WHERE d.run_date = nights.run_date AND d.status <> 'exported'
        )
    WHERE run_date IN (SELECT run_date FROM changed)
"""

_DELIVERIES = """
    UPDATE edition.main.deliveries AS old
    SET rows = new.rows, bytes = new.bytes, sha256 = new.sha256, manifest_sha256 = new.manifest_sha256
    FROM published_now AS new
    WHERE old.run_date = new.run_date AND old.channel = new.channel AND old.file = new.file
"""

_SOURCE_FILES = """
    UPDATE edition.main.source_files AS old
    SET rows = new.rows, bad_rows = new.bad_rows, skipped_rows = new.skipped_rows
    FROM read_now AS new
    WHERE old.run_date = new.run_date AND old.table_name = new.table_name AND old.sha256 = new.sha256
"""


def redact(screen: Screen) -> int:
    """Write the analysts' database anew without rows of erased people; how many rows were left out.

    What it says about files is brought up to what they are now. Nothing happens where there is no database. Raises
    HistoryUnreadable when it is damaged or open for writing.
    """
    path = screen.shop.root / "published" / "analysts.duckdb"
    for leftover in path.parent.glob(f".{path.name}.*.tmp*"):
        leftover.unlink()
    if not path.exists():
        return 0
    if path.with_name(f"{path.name}.wal").exists():
        raise HistoryUnreadable(f"{path}.wal: somebody has the database open for writing. Close it, then erase again.")
    lost: list[int] = []
    try:
        replace_file(path, lambda aside: lost.append(_write(screen, path, aside)))
    except duckdb.Error as error:
        raise HistoryUnreadable(
            f"{path}: cannot be read or is locked ({type(error).__name__}). Restore it from a backup, or move it away, "
            "then erase again."
        ) from None
    return lost[0]


def _write(screen: Screen, path: Path, aside: Path) -> int:
    root = screen.shop.root
    with connect(folders=[path.parent, root / "landed"]) as con:
        screen.define(con)
        con.execute(f"ATTACH {literal(str(path))} AS published (READ_ONLY)")
        con.execute(f"ATTACH {literal(str(aside))} AS edition (STORAGE_VERSION {literal(STORAGE_VERSION)})")
        aside.chmod(PRIVATE_FILE)
        tables = _tables(con)
        _find_gone(con, tables)
        con.execute("CREATE TEMP TABLE changed (run_date DATE)")
        con.execute("BEGIN")
        lost = sum(_copy(con, name, columns) for name, columns in tables.items())
        con.execute("COMMIT")
        _comment(con)
        if {"nights", "deliveries", "source_files", "quarantine"} <= tables.keys():
            con.execute(_COUNTS)
            _tell_files(con, root)
            _tell_sources(con, root)
        con.execute("DETACH edition")
    return lost


def _tables(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    rows = con.execute(
        "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        "WHERE database_name = 'published' AND schema_name = 'main' GROUP BY table_name ORDER BY table_name"
    ).fetchall()
    return dict(rows)


def _find_gone(con: duckdb.DuckDBPyConnection, tables: dict[str, list[str]]) -> None:
    """Table `gone`: the ids of erased people that are anywhere in the database."""
    union = " UNION ".join(
        f"SELECT {quoted(column)} AS id FROM published.main.{quoted(name)}"
        for name, columns in tables.items()
        for column in columns
        if column in IDS
    )
    con.execute(
        f"CREATE TEMP TABLE gone AS SELECT id FROM ({union or 'SELECT NULL::VARCHAR AS id'}) "
        "WHERE id IS NOT NULL AND keyed(id) IN (SELECT hash FROM erased WHERE kind = 'customer_id')"
    )


def _copy(con: duckdb.DuckDBPyConnection, name: str, columns: list[str]) -> int:
    source = f"published.main.{quoted(name)}"
    theirs = " OR ".join(
        f"coalesce({quoted(column)} IN (SELECT id FROM gone), false)" for column in columns if column in IDS
    )
    con.execute(f"CREATE TABLE edition.main.{quoted(name)} AS SELECT * FROM {source} WHERE NOT ({theirs or 'false'})")
    if not theirs:
        return 0
    if "run_date" in columns:
        con.execute(f"INSERT INTO changed SELECT DISTINCT run_date FROM {source} WHERE {theirs}")
    return int(con.execute(f"SELECT count(*) FROM {source} WHERE {theirs}").fetchall()[0][0])


def _comment(con: duckdb.DuckDBPyConnection) -> None:
    """Carry every comment over."""
    found = con.execute(
        "SELECT 'TABLE', table_name, NULL, comment FROM duckdb_tables() WHERE database_name = 'published' "
        "UNION ALL SELECT 'COLUMN', table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'published' AND schema_name = 'main'"
    ).fetchall()
    for kind, table, column, comment in found:
        if comment is not None:
            name = f"edition.main.{quoted(table)}" + (f".{quoted(column)}" if column else "")
            con.execute(f"COMMENT ON {kind} {name} IS {literal(comment)}")


def _tell_files(con: duckdb.DuckDBPyConnection, root: Path) -> None:
    """Bring `deliveries` up to what the manifests of redacted nights say now."""
    rows = []
    for success in sorted((root / "published" / "audiences").glob(f"*/*/{SUCCESS}")):
        published = read_published(success.parent)
        if published and published.manifest.redacted:
            of = (published.manifest.run_date, published.manifest.channel)
            rows += [
                [*of, file.file, file.rows, file.bytes, file.sha256, published.manifest_sha256]
                for file in published.manifest.files
            ]
    con.execute(
        "CREATE TEMP TABLE published_now (run_date DATE, channel VARCHAR, file VARCHAR, rows BIGINT, bytes BIGINT, "
        "sha256 VARCHAR, manifest_sha256 VARCHAR)"
    )
    if rows:
        con.executemany("INSERT INTO published_now VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        con.execute(_DELIVERIES)


def _tell_sources(con: duckdb.DuckDBPyConnection, root: Path) -> None:
    """Bring `source_files` and `quarantine` up to what is left of redacted source files."""
    redacted = Registry.load(root / "registry.json").redacted
    now = set(redacted.values())
    con.execute(
        "CREATE TEMP TABLE read_now (run_date DATE, table_name VARCHAR, sha256 VARCHAR, rows BIGINT, bad_rows BIGINT, "
        "skipped_rows BIGINT)"
    )
    con.execute(
        "UPDATE edition.main.source_files AS old SET sha256 = kept.after "
        "FROM (SELECT unnest($before::VARCHAR[]) AS before, unnest($after::VARCHAR[]) AS after) AS kept "
        "WHERE old.sha256 = kept.before",
        {"before": list(redacted), "after": list(redacted.values())},
    )
    con.execute(
        "DELETE FROM edition.main.quarantine WHERE source_sha256 IN (SELECT unnest($hashes::VARCHAR[]))",
        {"hashes": sorted({*redacted, *now})},
    )
    rows = []
    for run_date, table, file in _files_read(root):
        if file["sha256"] not in now:
            continue
        skipped = sum(file["skipped_rows"].values())
        rows.append([run_date, table, file["sha256"], file["rows"], file["bad_rows"], skipped])
        bad = Landed(root / "landed" / table, file["sha256"], file["mapping"]).bad
        if file["bad_rows"] and bad.is_file():
            con.execute(
                "INSERT INTO edition.main.quarantine "
                "(run_date, table_name, file, line, column_name, reason, row_hash, source_sha256) "
                "SELECT $run_date, $table_name, $file, line, column_name, reason, row_hash, $sha256 "
                "FROM read_parquet($bad) WHERE $run_date::DATE IN (SELECT run_date FROM edition.main.nights)",
                {
                    "run_date": run_date,
                    "table_name": table,
                    "file": file["file"],
                    "sha256": file["sha256"],
                    "bad": str(bad),
                },
            )
    if rows:
        con.executemany("INSERT INTO read_now VALUES (?, ?, ?, ?, ?, ?)", rows)
        con.execute(_SOURCE_FILES)


def _files_read(root: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in sorted((root / "nights").glob("*/inputs.json")):
        for table, entry in read_json(path)["tables"].items():
            for file in entry["files"]:
                yield path.parent.name, table, file
