"""CSV files that every tool reads the same way, and that stay harmless when a person opens them in a spreadsheet.

UTF-8 without BOM, `\\n` after every line, every field quoted, quotes doubled, the header always, empty cells for what
is missing, `.` decimals, ISO dates, moments in UTC as 2026-04-01T06:00:00Z. One line of the file is one row: no cell
holds a line break.
"""

import csv
from abc import abstractmethod
from collections.abc import Collection
from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import Channel
from recsys.errors import CannotRender
from recsys.files import replace_file

_CONTROL = r"[\p{Cc}\x{2028}\x{2029}]"
_FORMULA = r"^[\s\p{Z}\p{C}\p{Default_Ignorable_Code_Point}]*[=+\-@]"
_CHUNK = 1 << 20


class CsvFile(Channel):
    """A channel whose finished file is one CSV file, `<name>_<YYYYMMDD>.csv`."""

    @property
    @abstractmethod
    def identifiers(self) -> frozenset[str]:
        """Columns that a tool looks rows up by. They leave byte for byte as they came, or not at all."""

    @abstractmethod
    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        """The file's rows in its order with exactly its columns: texts, decimals, dates, moments as decided."""

    def files(self, run_date: date) -> tuple[str, ...]:
        return (f"{self.name}_{run_date:%Y%m%d}.csv",)

    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        table = self.table(decisions, run_date).select(self.columns)
        path = folder / self.files(run_date)[0]
        write_csv(table, path, self.identifiers)
        return table.height


def write_csv(table: pl.DataFrame, path: Path, identifiers: Collection[str]) -> None:
    """Write texts, decimals, dates and moments as a finished file, whole or not at all.

    Free text is made harmless (see `harmless`). Identifiers are looked up elsewhere, so they are never altered, also
    when they begin like a formula, as `+49...` does. Raises CannotRender when one holds a line break or another
    control character: decide lets no such address or id through.
    """
    broken = table.select(pl.col(name).str.contains(_CONTROL).sum() for name in table.columns if name in identifiers)
    for column in broken:
        if count := column.item():
            raise CannotRender(
                f"{path.name}: column {column.name} has control characters in {count} rows; "
                "an id or address cannot be repaired here. Correct it at its source."
            )
    cells = pl.DataFrame([_as_text(column, column.name in identifiers) for column in table])
    replace_file(path, lambda aside: cells.write_csv(aside, quote_style="always", line_terminator="\n"))


def harmless(text: pl.Expr) -> pl.Expr:
    """Free text that no spreadsheet takes for a formula.

    Line breaks and other control characters become a space. A text that begins with `=`, `+`, `-` or `@`, also behind
    blanks and invisible characters or as a look-alike that Unicode (NFKC) folds to one of them, gets a `'` in front.
    """
    one_line = text.str.replace_all(_CONTROL + "+", " ")
    is_formula = text.str.contains(_FORMULA) | text.str.normalize("NFKC").str.contains(_FORMULA)
    return pl.when(is_formula).then(pl.lit("'") + one_line).otherwise(one_line)


def plain_amount(amount: pl.Expr) -> pl.Expr:
    """Decimals as text: at least two places, no zeros behind them, no thousands separators (9.90, 0.125, 1200.00)."""
    return amount.cast(pl.Decimal(18, 4)).cast(pl.String).str.replace(r"(\.\d\d\d*?)0*$", "$1")


def contents(path: Path) -> tuple[int, tuple[str, ...]]:
    """Rows and columns of a finished file, counted in its bytes."""
    with path.open("rb") as stream:
        header = stream.readline().decode("utf-8")
        rows = 0
        while chunk := stream.read(_CHUNK):
            rows += chunk.count(b"\n")
    return rows, tuple(next(csv.reader([header]), ()))


def _as_text(column: pl.Series, is_identifier: bool) -> pl.Series:
    if column.dtype == pl.String:
        return column if is_identifier else _harmless_once_each(column)
    if column.dtype == pl.Date:
        return column.dt.to_string("iso")
    if column.dtype == pl.Datetime("us"):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if column.dtype.is_decimal():
        return column.to_frame().select(plain_amount(pl.col(column.name))).to_series()
    raise CannotRender(
        f"column {column.name} is {column.dtype}; a file has texts, decimals, dates and moments (UTC) only."
    )


def _harmless_once_each(column: pl.Series) -> pl.Series:
    """`harmless` of every text, looked at once per distinct text: names repeat, and folding them is what costs time."""
    distinct = column.unique().alias("text").to_frame().with_columns(harmless(pl.col("text")).alias("harmless"))
    changed = distinct.filter(pl.col("text") != pl.col("harmless"))
    return column.replace(changed["text"], changed["harmless"]) if changed.height else column
