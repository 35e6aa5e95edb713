"""Takes the rows of erased people out of a file of source bytes, whatever its format.

A row goes when one of its ids (customer or visitor, by the column expressions of any table that reads the file) is an
erased person's, or when it names nobody by id and its e-mail address, phone number, message or order is theirs. Rows
that name somebody else stay, also with an address that is shared. Cells that no expression reads are emptied when a
word in them is one of the identifiers. Everything is compared by keyed hash.
"""

import gzip
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys.config import Shop
from recsys.contracts import CONTRACTS
from recsys.database import connect, literal, quoted
from recsys.errors import SourceRefused, StateDamaged
from recsys.files import PRIVATE_FILE
from recsys.ingest.mapping import cells_read
from recsys.ingest.rows import read_source
from recsys.ingest.sources import belongs
from recsys.ingest.text import GZIP_MAGIC
from recsys.suppression.key import Key
from recsys.suppression.memory import ERASED, key_of
from recsys.table_settings import TableSource

IDS = ("customer_id", "visitor_id")
KINDS = {"customer_id": "customer_id", "visitor_id": "customer_id", "email": "email", "phone": "phone"} | {
    name: name for name in ("message_id", "order_id")
}
"""Contract column -> the kind under which its values are erased; ids of visitors and customers are one set."""

NORMAL = {"email": "normalised_email({})", "phone": "normalised_phone({})"}
_BETWEEN_WORDS = r"""[\s,;|<>"'\[\]{}()=]+"""
_CHUNK = 1 << 20
_WORD_IS_ERASED = """
    CASE WHEN contains(word, '@') THEN keyed(normalised_email(word)) IN (SELECT hash FROM erased WHERE kind = 'email')
    ELSE keyed(word) IN (SELECT hash FROM erased WHERE kind <> 'email') OR (
        regexp_matches(word, '([0-9][^0-9]{0,2}){5}')
        AND keyed(normalised_phone(word)) IN (SELECT hash FROM erased WHERE kind = 'phone')
    ) END
"""


@dataclass(frozen=True)
class Screen:
    """Everybody who was ever erased from a shop's data, as keyed hashes."""

    shop: Shop
    key: Key
    erased: Path

    @classmethod
    def open(cls, shop: Shop) -> "Screen | None":
        """The screen of a shop, None when nobody was erased. Raises SuppressionKeyUnfit without the key."""
        published = shop.root / "published"
        key = key_of(published)
        return cls(shop, key, published / ERASED) if key and (published / ERASED).exists() else None

    def readers(self, name: str) -> list[str]:
        """The tables whose source, as it is configured now, reads a path."""
        return [table for table in self.shop.tables if belongs(self.shop, table, self.shop.source(table), name)]

    def clean(self, path: Path, name: str, tables: Sequence[str], target: Path | None = None) -> bool:
        """Write the file at `path` to `target` without what is erased people's; False when nothing in it is theirs.

        Without a target it replaces the file itself. `tables` read it. Raises SourceRefused when the file is not what
        the shop file says: then nobody can tell whose rows are in it.
        """
        changed = False
        shapes: list[tuple[TableSource, list[str]]] = []
        for table in tables:
            source = self.shop.source(table)
            shape = source.model_copy(update={"format": "parquet"}) if source.query is not None else source
            alike = [group for known, group in shapes if _is_alike(known, shape)]
            alike[0].append(table) if alike else shapes.append((shape, [table]))
        for shape, group in shapes:
            if any(KINDS.keys() & CONTRACTS[table].column_names for table in group):
                changed |= self._clean(target if changed and target else path, name, shape, group, target or path)
        return changed

    def clean_rows(self, con: duckdb.DuckDBPyConnection, table: str) -> int:
        """Delete what is erased people's from the temporary table `source`, typed rows of a contract table."""
        self.define(con)
        columns = [column for column in CONTRACTS[table].column_names if column in KINDS]
        return _delete_rows(con, [(column, quoted(column)) for column in columns])

    def define(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make table `erased` (kind, hash) and `keyed(text)` known to a connection that may read `published/`."""
        self.key.define(con)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE erased AS SELECT kind, hash FROM read_parquet($path)",
            {"path": str(self.erased)},
        )

    def _clean(self, path: Path, name: str, shape: TableSource, tables: Sequence[str], target: Path) -> bool:
        with connect(folders=[path.parent, target.parent, self.erased.parent]) as con:
            self.define(con)
            read_source(con, path, name, shape, path.parent)
            lost = _delete_rows(con, self._marks(con, name, tables)) + self._empty_cells(con, tables)
            lost += _deleted(con, f"DELETE FROM broken WHERE text IN ({_erased_texts(con, 'text', 'broken')})")
            if not lost:
                return False
            before = _contents(con)
            _write(con, path, target, shape)
            with target.open("rb") as stream:
                os.fsync(stream.fileno())
            read_source(con, target, name, shape, target.parent)
            if _contents(con) != before:
                raise StateDamaged(f"{name}: its rows could not be written again as they were. Nothing was replaced.")
        return True

    def _marks(self, con: duckdb.DuckDBPyConnection, name: str, tables: Sequence[str]) -> list[tuple[str, str]]:
        """Contract column and expression of everything in the file that tells whose a row is."""
        marks = []
        for table in tables:
            columns = self.shop.tables[table].columns
            for column in CONTRACTS[table].column_names:
                if column in KINDS and column in columns:
                    marks.append((column, f"nullif(trim(CAST({_tried(con, name, columns[column])} AS VARCHAR)), '')"))
        return marks

    def _empty_cells(self, con: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> int:
        read: set[str] = set()
        for table in tables:
            source = self.shop.tables[table]
            for expression in [*source.columns.values(), *source.skip.values()]:
                read.update(cells_read(con, expression))
        emptied = 0
        for column in _columns(con):
            if column not in read:
                cell = f"CAST({quoted(column)} AS VARCHAR)"
                theirs = _erased_texts(con, cell, "source")
                emptied += _deleted(con, f"UPDATE source SET {quoted(column)} = NULL WHERE {cell} IN ({theirs})")
        return emptied


def _delete_rows(con: duckdb.DuckDBPyConnection, marks: Sequence[tuple[str, str]]) -> int:
    """Delete the rows of erased people from `source`; how many. `marks`: contract columns and their expressions."""
    if not marks:
        return 0
    values = ", ".join(f"{NORMAL.get(column, '{}').format(text)} AS _{at}" for at, (column, text) in enumerate(marks))
    con.execute(f"CREATE OR REPLACE TEMP TABLE marked AS SELECT _line, {values} FROM source")
    theirs = [
        f"_{at} IN (SELECT value FROM (SELECT DISTINCT _{at} AS value FROM marked WHERE _{at} IS NOT NULL) "
        f"WHERE keyed(value) IN (SELECT hash FROM erased WHERE kind = {literal(KINDS[column])}))"
        for at, (column, _) in enumerate(marks)
    ]
    ids = [at for at, (column, _) in enumerate(marks) if column in IDS]
    others = " OR ".join(theirs[at] for at in range(len(marks)) if at not in ids) or "false"
    nobody = " AND ".join(f"_{at} IS NULL" for at in ids) or "true"
    whose = " OR ".join(
        f"coalesce({part}, false)" for part in [*(theirs[at] for at in ids), f"({nobody} AND ({others}))"]
    )
    return _deleted(con, f"DELETE FROM source WHERE _line IN (SELECT _line FROM marked WHERE {whose})")


def _is_alike(one: TableSource, other: TableSource) -> bool:
    return (one.format, one.csv, one.fields) == (other.format, other.csv, other.fields)


def _erased_texts(con: duckdb.DuckDBPyConnection, text: str, table: str) -> str:
    """A query for the values of an expression over a table that have a word of an erased person in them."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE found AS
        SELECT DISTINCT text FROM (
            SELECT text, unnest(list_append(regexp_split_to_array(text, {literal(_BETWEEN_WORDS)}), trim(text))) AS word
            FROM (SELECT DISTINCT {text} AS text FROM {table})
        ) WHERE word <> '' AND ({_WORD_IS_ERASED})
        """
    )
    return "SELECT text FROM found"


def _tried(con: duckdb.DuckDBPyConnection, name: str, expression: str) -> str:
    """The expression, NULL for rows on which it fails: it may have been meant for rows that are not skipped."""
    for tried in (f"TRY({expression})", f"({expression})"):
        try:
            con.execute(f"SELECT {tried} FROM source LIMIT 0")
        except duckdb.Error:
            continue
        return tried
    raise SourceRefused(f"{name}: a column expression of the shop file does not fit the file.")


def _columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in con.execute("DESCRIBE source").fetchall() if row[0] != "_line"]


def _deleted(con: duckdb.DuckDBPyConnection, statement: str) -> int:
    return int(con.execute(statement).fetchall()[0][0])


def _contents(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """What must be the same after the file was written again: rows and cells, in their order, and broken lines."""
    names = ", ".join(map(quoted, _columns(con)))
    rows = con.execute(
        f"SELECT count(*), bit_xor(hash(place, cells)) FROM (SELECT row_number() OVER (ORDER BY _line) AS place, "
        f"row({names}) AS cells FROM source)"
    ).fetchall()
    return rows + con.execute("SELECT count(*), bit_xor(hash(text)) FROM broken").fetchall()


def _write(con: duckdb.DuckDBPyConnection, path: Path, target: Path, shape: TableSource) -> None:
    """Write `source` and `broken` in the shape of the file at `path`: format, dialect, encoding, compression."""
    with path.open("rb") as stream:
        is_packed = stream.read(2) == GZIP_MAGIC and shape.format != "parquet"
    made = target.with_name(f"{target.name}.made")
    names = ", ".join(map(quoted, _columns(con)))
    try:
        con.execute(f"COPY (SELECT {names} FROM source ORDER BY _line) TO {literal(str(made))} ({_form(shape)})")
        if shape.format == "parquet":
            made.chmod(PRIVATE_FILE)
            made.replace(target)
            return
        lines = con.execute("SELECT text FROM broken ORDER BY line").fetchall()
        encoding = shape.csv.encoding if shape.csv else "utf-8"
        with made.open(encoding="utf-8", newline="") as texts, target.open("wb") as raw:
            packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) if is_packed else None
            with io.TextIOWrapper(packed or raw, encoding=encoding, newline="") as writing:
                if shape.csv:
                    writing.write(texts.readline())
                writing.writelines(f"{line}\n" for (line,) in lines)  # never last: a file may end without a newline
                shutil.copyfileobj(texts, writing, _CHUNK)
    finally:
        made.unlink(missing_ok=True)


def _form(shape: TableSource) -> str:
    if shape.csv is None:
        return "FORMAT json" if shape.format == "jsonl" else "FORMAT parquet, COMPRESSION zstd"
    dialect = {"DELIMITER": shape.csv.delimiter, "QUOTE": shape.csv.quote, "ESCAPE": shape.csv.escape}
    return "FORMAT csv, HEADER true, " + ", ".join(f"{option} {literal(text)}" for option, text in dialect.items())
