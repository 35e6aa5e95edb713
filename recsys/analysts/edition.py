"""Makes tonight's edition of the analysts' database beside the published one, then puts it in its place in one step.

The edition starts as a copy of the published file, so the history of all nights comes along; nothing of the
published file is changed, ever. Storage version v1.0.0: DuckDB 1.4 and later can open it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from recsys.analysts.history import HISTORY
from recsys.analysts.marts import copy_marts, drop_marts
from recsys.analysts.published import copy_published, is_locked, rows_of_other_nights
from recsys.analysts.tonight import history_stands, insert_tonight, rows_of
from recsys.audit import Verdict
from recsys.database import connect, literal, quoted
from recsys.errors import NotAudited, StageInputMissing, SumsDoNotReconcile, Transient
from recsys.files import PRIVATE_FILE, replace_file
from recsys.lock import exclusive
from recsys.night import Night

STORAGE_VERSION = "v1.0.0"


def run(night: Night) -> dict[str, int | str]:
    """Publish the night to the analysts; the night's rows per table.

    The marts are those of the newest night in the file: publishing an older night again adds to the history and
    leaves them alone. Raises NotAudited when the gate is not green, StageInputMissing when a stage has not run,
    HistoryUnreadable when the published file is damaged, Transient when somebody writes to it or to the data root.
    """
    verdict = Verdict.read(night.verdict)
    if not verdict.is_green:
        raise NotAudited(f"{night.verdict}: the gate of {night.run_date} is red; nothing is published.")
    if not night.warehouse.is_file():
        raise StageInputMissing(f"{night.warehouse}: does not exist. Run the stages features and decide first.")
    counts: dict[str, int | str] = {"database": night.analysts.relative_to(night.shop.root).as_posix()}
    with exclusive(night.shop.root):
        _remove_leftovers(night)
        replace_file(night.analysts, lambda aside: counts.update(_write_edition(night, verdict, aside)))
    return counts


def _write_edition(night: Night, verdict: Verdict, aside: Path) -> dict[str, int]:
    wal = aside.with_name(f"{aside.name}.wal")
    try:
        kept = copy_published(night, aside)
        with connect(folders=[night.published, night.folder]) as con:
            con.execute(f"ATTACH {literal(str(aside))} AS edition (STORAGE_VERSION {literal(STORAGE_VERSION)})")
            aside.chmod(PRIVATE_FILE)
            _attach_warehouse(con, night)
            with _one_commit(con):
                _declare(con)
                counts = insert_tonight(con, night, verdict)
            newest = con.execute("SELECT max(run_date) FROM edition.main.nights").fetchone()
            marts: dict[str, int] = {}
            if newest and newest[0] == night.run_date:
                with _one_commit(con):
                    drop_marts(con)
                with _one_commit(con):
                    marts = copy_marts(con, night)
            con.execute("DETACH edition")
        if wal.exists():
            raise SumsDoNotReconcile(f"{wal}: is left over after a checkpoint, so the new database is not whole.")
        _verify(night, aside, counts, kept)
    finally:
        wal.unlink(missing_ok=True)
    return counts | marts


@contextmanager
def _one_commit(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One sync for many statements; then a checkpoint, so that freed blocks are used again and no log is left."""
    con.execute("BEGIN")
    yield
    con.execute("COMMIT")
    con.execute("CHECKPOINT edition")


def _remove_leftovers(night: Night) -> None:
    """Remove editions that a killed attempt left unfinished."""
    for leftover in night.published.glob(f".{night.analysts.name}.*.tmp*"):
        leftover.unlink()


def _attach_warehouse(con: duckdb.DuckDBPyConnection, night: Night) -> None:
    try:
        con.execute(f"ATTACH {literal(str(night.warehouse))} AS warehouse (READ_ONLY)")
    except duckdb.Error as error:
        if is_locked(error):
            raise Transient(f"{night.warehouse}: dbt still has it open. Try again when it is done.") from None
        raise StageInputMissing(
            f"{night.warehouse}: cannot be read ({str(error).splitlines()[0]}). Run the stage features again."
        ) from None


def _declare(con: duckdb.DuckDBPyConnection) -> None:
    """Make the history tables and columns that are missing, with their comments."""
    for table in HISTORY:
        name = f"edition.main.{quoted(table.name)}"
        columns = ", ".join(f"{quoted(column.name)} {column.type}" for column in table.columns)
        con.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        for column in table.columns:
            if column.may_be_missing:
                con.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {quoted(column.name)} {column.type}")
        con.execute(f"COMMENT ON TABLE {name} IS {literal(table.comment)}")
        for column in table.columns:
            con.execute(f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {literal(column.comment)}")


def _verify(night: Night, aside: Path, counts: dict[str, int], kept: dict[str, int]) -> None:
    """Open the closed edition as an analyst would: tonight's rows are all there, and no other night lost or won any."""
    with connect(folders=[night.published, night.folder]) as con:
        con.execute(f"ATTACH {literal(str(aside))} AS edition (READ_ONLY)")
        version = con.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'edition'"
        ).fetchone()
        if not version or not str(version[0]).startswith(STORAGE_VERSION):
            raise SumsDoNotReconcile(f"{night.analysts}: storage version would be {version}, not {STORAGE_VERSION}.")
        if rows_of(con, night) != counts:
            raise SumsDoNotReconcile(f"{night.analysts}: the night's rows are not those that were written.")
        if kept and rows_of_other_nights(con, night, "edition") != kept:
            raise SumsDoNotReconcile(f"{night.analysts}: rows of other nights would be lost or doubled.")
        for table in () if history_stands(con, night) else ("recommendations", "decisions"):
            path = night.decisions / f"fct_{table}.parquet"
            row = con.execute("SELECT count(*) FROM read_parquet($path)", {"path": str(path)}).fetchone()
            if not row or row[0] != counts[table]:
                raise SumsDoNotReconcile(f"{path}: only {counts[table]} of its rows are of {night.run_date}.")
