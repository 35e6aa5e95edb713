"""The cells of a file as one DuckDB view of text columns c0, c1, ..., and one query for all that is asked of them.

The dialect is given and never guessed: `recsys.lint.octets` has read the header and counted the cells before.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys.database import connect, literal
from recsys.lint.report import Finding

_LONGEST_LINE = 64 << 20
_NESTED = ("[", "STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class Check:
    """A predicate that holds for wrong rows, and the rule that they break."""

    rule: str
    predicate: str
    place: str = ""


@dataclass(frozen=True)
class Cells:
    """An open view: rows in the file's order, one text column per header, NULL or '' where nothing stands."""

    con: duckdb.DuckDBPyConnection
    header: tuple[str, ...]
    rows: int
    typed: frozenset[int] = frozenset()
    """Columns (from 0) that have a type of their own in Parquet."""
    view: str = "cells"

    def findings(self, checks: Sequence[Check]) -> Iterator[Finding]:
        """One finding per check that some row does not pass: how many rows, and the first of them."""
        if not checks or not self.rows:
            return
        rows, *counts = self._one(["count(*)", *(f"count(*) FILTER ({it.predicate})" for it in checks)], self.view)
        if rows != self.rows:
            yield Finding("unreadable", f"{self.rows:,} rows in its bytes, {rows:,} when it is read")
            return
        failed = [(check, count) for check, count in zip(checks, counts, strict=True) if count]
        if not failed:
            return
        numbered = f"(SELECT *, row_number() OVER () AS row_place FROM {self.view})"
        places = self._one([f"min(row_place) FILTER ({check.predicate})" for check, _ in failed], numbered)
        for (check, count), place in zip(failed, places, strict=True):
            where = f"{check.place}: " if check.place else ""
            yield Finding(check.rule, f"{where}{count:,} of {self.rows:,} rows, the first is row {place:,}")

    def repeated(self, key: str, place: str) -> Iterator[Finding]:
        """A finding when a key, an SQL expression that is NULL where there is none, stands in more than one row."""
        distinct, filled = self._one([f"count(DISTINCT {key})", f"count({key})"], self.view)
        if distinct < filled:
            yield Finding("identifier_repeated", f"{place}: {filled - distinct:,} of {self.rows:,} rows repeat another")

    def number(self, query: str) -> int:
        """The single number that a query gives."""
        return int((self.con.execute(query).fetchone() or (0,))[0])

    def _one(self, expressions: Sequence[str], source: str) -> tuple[int, ...]:
        return self.con.execute(f"SELECT {', '.join(expressions)} FROM {source}").fetchone() or ()


def column(index: int) -> str:
    """The name of a column in the view."""
    return f"c{index}"


def text(index: int) -> str:
    """A column with '' where nothing stands."""
    return f"coalesce(c{index}, '')"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection, and the file as SQL text. It is read through a link: `*`, `?` and `[` in a name are no pattern."""
    with tempfile.TemporaryDirectory(prefix="recsys-lint-") as scratch:
        link = Path(scratch).resolve() / "file"
        link.symlink_to(path.resolve())
        with connect(folders=[link.parent, path.resolve().parent]) as con:
            yield con, literal(str(link))


@contextmanager
def delimited(path: Path, header: tuple[str, ...], rows: int, separator: str) -> Iterator[Cells]:
    """The cells of a delimited file whose layout was found right."""
    columns = ", ".join(f"{literal(column(i))}: 'VARCHAR'" for i in range(len(header)))
    with _opened(path) as (con, file):
        con.execute(
            f"CREATE TEMP VIEW cells AS FROM read_csv({file}, auto_detect=false, header=false, skip=1, "
            f"delim={literal(separator)}, quote='\"', escape='\"', new_line='\\n', columns={{{columns}}}, "
            f"strict_mode=true, null_padding=false, max_line_size={_LONGEST_LINE})"
        )
        yield Cells(con, header, rows)


@contextmanager
def lines(path: Path, rows: int) -> Iterator[Cells]:
    """The lines of a file as its one column."""
    with _opened(path) as (con, file):
        con.execute(
            f"CREATE TEMP VIEW cells AS FROM read_csv({file}, auto_detect=false, header=false, delim='\x01', "
            f"quote='', escape='', new_line='\\n', columns={{'c0': 'VARCHAR'}}, max_line_size={_LONGEST_LINE})"
        )
        yield Cells(con, ("line",), rows)


@contextmanager
def parquet(path: Path) -> Iterator[Cells | Finding]:
    """The cells of a Parquet file as text; a finding for a file that is none, or holds lists or structures."""
    with _opened(path) as (con, file):
        try:
            schema = con.execute(f"DESCRIBE FROM read_parquet({file})").fetchall()
            rows = (con.execute(f"SELECT count(*) FROM read_parquet({file})").fetchone() or (0,))[0]
        except duckdb.Error:
            yield Finding("unreadable", "not a whole Parquet file")
            return
        nested = [f"column {i + 1}" for i, row in enumerate(schema) if any(word in row[1] for word in _NESTED)]
        if nested:
            yield Finding("array_in_cell", f"{', '.join(nested)}: lists or structures")
            return
        names = ", ".join(f"CAST({_quoted(row[0])} AS VARCHAR) AS {column(i)}" for i, row in enumerate(schema))
        con.execute(f"CREATE TEMP VIEW cells AS SELECT {names} FROM read_parquet({file})")
        typed = frozenset(i for i, row in enumerate(schema) if row[1] != "VARCHAR")
        yield Cells(con, tuple(row[0] for row in schema), rows, typed)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
