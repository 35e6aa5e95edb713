"""CSV that every tool reads the same way, and that stays harmless when a person opens it in a spreadsheet.

UTF-8 without BOM, `\\n` after every line, every field quoted, quotes doubled, the header always, empty cells for what
is missing, `.` decimals, ISO dates, moments in UTC as 2026-04-01T06:00:00Z. One line of the file is one row: no cell
holds a line break.
"""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from recsys.errors import CannotRender
from recsys.files import replace_file

_CONTROL = r"[\p{Cc}\x{2028}\x{2029}]"
_PLAIN = r"^[A-Za-z0-9][^\p{Cc}\x{2028}\x{2029}]*$"
"""Certainly harmless: nothing turns a letter or digit of ASCII at the beginning into the beginning of a formula."""
_FORMULA = r"^[\s\p{Z}\p{C}\p{Default_Ignorable_Code_Point}]*[=+\-@]"


def write_csv(table: pl.DataFrame, path: Path, exact: Collection[str]) -> None:
    """Write texts, decimals, dates and moments as a finished file, whole or not at all; see `as_cells`."""
    cells = as_cells(table, exact, path.name)
    replace_file(path, lambda aside: cells.write_csv(aside, quote_style="always", line_terminator="\n"))


def as_cells(table: pl.DataFrame, exact: Collection[str], name: str) -> pl.DataFrame:
    """Texts, decimals, dates and moments as the texts that stand in a finished file of that `name`.

    Free text is made harmless (see `harmless`). Identifiers are looked up elsewhere, so the columns in `exact` are
    never altered, also when they begin like a formula, as `+49...` does. Raises CannotRender when one holds a line
    break or another control character: decide lets no such address or id through.
    """
    require_printable(table, exact, name)
    return pl.DataFrame([_as_text(column, column.name in exact) for column in table])


def require_printable(table: pl.DataFrame, exact: Collection[str], name: str) -> None:
    """Raise CannotRender when an identifier holds a control character; values are not shown."""
    broken = table.select(pl.col(column).str.contains(_CONTROL).sum() for column in table.columns if column in exact)
    for column in broken:
        if count := column.item():
            raise CannotRender(
                f"{name}: column {column.name} has control characters in {count} rows; "
                "an id or address cannot be repaired here. Correct it at its source."
            )


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


def _as_text(column: pl.Series, is_exact: bool) -> pl.Series:
    if column.dtype == pl.String:
        return column if is_exact else harmless_once_each(column)
    if column.dtype == pl.Date:
        return column.dt.to_string("iso")
    if column.dtype == pl.Datetime("us"):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if column.dtype.is_decimal():
        return column.to_frame().select(plain_amount(pl.col(column.name))).to_series()
    if column.dtype.is_integer():
        return column.cast(pl.String)
    raise CannotRender(
        f"column {column.name} is {column.dtype}; a file has texts, numbers, dates and moments (UTC) only."
    )


def harmless_once_each(column: pl.Series) -> pl.Series:
    """`harmless` of every text, looked at once per distinct text: names repeat, and folding them is what costs time."""
    doubtful = column.filter(~column.str.contains(_PLAIN))
    if doubtful.is_empty():
        return column
    distinct = doubtful.unique().alias("text").to_frame().with_columns(harmless(pl.col("text")).alias("harmless"))
    changed = distinct.filter(pl.col("text") != pl.col("harmless"))
    return column.replace(changed["text"], changed["harmless"]) if changed.height else column
