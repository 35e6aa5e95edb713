"""The published file that tonight's edition starts from: is it whole, is it ours, and a private copy of it."""

import shutil
from pathlib import Path

import duckdb

from recsys.analysts.history import HISTORY
from recsys.database import connect, literal, quoted
from recsys.errors import HistoryUnreadable, Transient
from recsys.files import PRIVATE_FILE
from recsys.night import Night


def copy_published(night: Night, aside: Path) -> dict[str, int]:
    """Copy the published database to `aside`; rows of all other nights per history table, empty for a first edition.

    It is read whole first, so that damage anywhere in it is found tonight and not by an analyst later; and it is held
    open for reading while it is copied, so nobody can write to it. Raises HistoryUnreadable and Transient.
    """
    if not night.analysts.exists():
        return {}
    wal = night.analysts.with_name(f"{night.analysts.name}.wal")
    if wal.exists():
        raise HistoryUnreadable(
            f"{wal}: somebody opened the analysts' database for writing and left changes beside it. Open it once with "
            "DuckDB and close it to keep them, or delete this file to drop them; then publish again."
        )
    with connect(folders=[night.published]) as con:
        try:
            con.execute(f"ATTACH {literal(str(night.analysts))} AS published (READ_ONLY)")
            fault = _strange_table(con) or _torn_nights(con)
            _read_whole(con)
        except duckdb.Error as error:
            if is_locked(error):
                raise Transient(
                    f"{night.analysts}: somebody has it open for writing. "
                    "Close that program; readers open it read-only."
                ) from None
            fault = str(error).splitlines()[0]
        if fault:
            raise HistoryUnreadable(
                f"{night.analysts}: the history of earlier nights cannot be read ({fault}). Put back a backup of the "
                "file, or move it away to start a new history; then publish again."
            )
        aside.touch(mode=PRIVATE_FILE)
        shutil.copyfile(night.analysts, aside)
        return rows_of_other_nights(con, night, "published")


def rows_of_other_nights(con: duckdb.DuckDBPyConnection, night: Night, database: str) -> dict[str, int]:
    """How many rows each history table of a database has for all nights but this one; 0 where it is missing."""
    there = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = $database AND schema_name = 'main'",
        {"database": database},
    ).fetchall()
    counts = dict.fromkeys((table.name for table in HISTORY), 0)
    for table in HISTORY:
        if (table.name,) not in there:
            continue
        row = con.execute(
            f"SELECT count(*) FROM {quoted(database)}.main.{quoted(table.name)} WHERE run_date <> $run_date",
            {"run_date": night.run_date},
        ).fetchone()
        counts[table.name] = int(row[0]) if row else 0
    return counts


def is_locked(error: duckdb.Error) -> bool:
    """Whether DuckDB refused a file because another program, or another part of this one, writes to it."""
    return "Conflicting lock" in str(error) or "Unique file handle conflict" in str(error)


def _strange_table(con: duckdb.DuckDBPyConnection) -> str:
    """What is wrong with the history tables' columns in the attached database `published`; empty when nothing is."""
    found = set(
        con.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = 'published' AND schema_name = 'main'"
        ).fetchall()
    )
    for table in HISTORY:
        wanted = {(table.name, column.name, column.type) for column in table.columns}
        later = {(table.name, column.name, column.type) for column in table.columns if column.may_be_missing}
        if table.may_be_missing and table.name not in {row[0] for row in found}:
            continue
        there = {row for row in found if row[0] == table.name}
        if not wanted - later <= there <= wanted:
            return f"table {table.name} is missing or has other columns than this version writes"
    return ""


def _torn_nights(con: duckdb.DuckDBPyConnection) -> str:
    """Nights whose recommendations or decisions are not as many as `nights` says; empty when there are none."""
    torn = con.execute(
        """
        SELECT count(*)
        FROM published.main.nights AS night
        FULL JOIN (SELECT run_date, count(*) AS rows FROM published.main.recommendations GROUP BY run_date) AS listed
            ON listed.run_date = night.run_date
        FULL JOIN (SELECT run_date, count(*) AS rows FROM published.main.decisions GROUP BY run_date) AS decided
            ON decided.run_date = coalesce(night.run_date, listed.run_date)
        WHERE night.recommendations IS DISTINCT FROM coalesce(listed.rows, 0)
            OR night.decisions IS DISTINCT FROM coalesce(decided.rows, 0)
        """
    ).fetchone()
    return f"{torn[0]} nights have other rows than were published" if torn and torn[0] else ""


def _read_whole(con: duckdb.DuckDBPyConnection) -> None:
    """Read every value, which makes DuckDB check every block's checksum: 0.15 s per million recommendations."""
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'published' AND schema_name = 'main'"
    ).fetchall()
    for (name,) in names:
        con.execute(f"SELECT bit_xor(hash(row)) FROM published.main.{quoted(name)} AS row").fetchall()
