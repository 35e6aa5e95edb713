"""Clear files: what wipes recommendations that a tool still holds, and what only looks as if it did."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recsys.lint.cells import Check, text
from recsys.lint.report import Finding

if TYPE_CHECKING:
    from recsys.lint.form import Table

_RECOMMENDATION = re.compile(r"(?i)r(ec)?[ _]?[0-9]+[ _]?[a-z_ ]+")


def recommendations_are_empty(table: "Table") -> Iterator[Finding]:
    """Where empty cells overwrite, a clear file holds nothing in its recommendation columns."""
    places = [i for i, name in enumerate(table.cells.header) if _RECOMMENDATION.fullmatch(name)]
    yield from table.cells.findings([Check("clear_holds_values", f"{text(i)} <> ''", table.place(i)) for i in places])


def something_overwrites(table: "Table") -> Iterator[Finding]:
    """Where empty cells overwrite nothing, a row that is empty but for its identifiers clears nothing."""
    known = {i for family in table.form.keys(table.cells.header) for i in table.columns(*family)}
    others = [text(i) for i in range(len(table.cells.header)) if i not in known]
    rows = " AND ".join(f"{cell} = ''" for cell in others) or "true"
    somebody = f"NOT ({table.has_none(table.form.keys(table.cells.header))})"
    yield from table.cells.findings([Check("clear_without_effect", f"{somebody} AND {rows}")])
