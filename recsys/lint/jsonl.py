"""JSON lines: each line one object; flat ones are read as a table with one column per key."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.database import literal
from recsys.lint import cells
from recsys.lint.cells import Cells, Check, column
from recsys.lint.report import Finding

NOT_JSON = r"NOT json_valid(c0) OR regexp_matches(c0, '[:\[,]\s*-?(NaN|Infinity|inf|nan)\s*[,}\]]')"
"""Holds for a line that is no JSON: the words for numbers that are none are no JSON either."""
NOT_AN_OBJECT = f"({NOT_JSON} OR CASE WHEN json_valid(c0) THEN json_type(c0) <> 'OBJECT' END)"
"""Holds for a line that is no JSON object. DuckDB stops at what is no JSON, and its message quotes the line."""
NAMES_TWICE = "len(list_distinct(json_keys(c0))) < len(json_keys(c0))"
"""Holds for an object that says a name twice: readers keep the first of them, or the last."""


@contextmanager
def flat_lines(path: Path, rows: int) -> Iterator[Cells | Finding]:
    """A file of flat objects as a table; a finding when a line is no JSON object, or lines have different keys."""
    with cells.lines(path, rows) as lines:
        if not rows:
            yield Cells(lines.con, (), 0)
            return
        unfit = next(iter(lines.findings([Check("json_line", NOT_AN_OBJECT)])), None)
        unfit = unfit or next(iter(lines.findings([Check("header_repeated", NAMES_TWICE)])), None)
        if unfit:
            yield unfit
            return
        kinds = lines.con.execute("SELECT json_keys(c0), count(*) FROM cells GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        if len(kinds) > 1:
            others = sum(count for _, count in kinds[1:])
            yield Finding(
                "cell_count", f"{others:,} of {rows:,} lines have other keys, or another order, than the most"
            )
            return
        header = tuple(kinds[0][0])
        yield _table(lines, header, rows)


def _table(lines: Cells, header: tuple[str, ...], rows: int) -> Cells | Finding:
    pointers = ", ".join(literal(pointer(key)) for key in header)
    counts = ", ".join(f"count(*) FILTER (kinds[{i + 1}] IN ('ARRAY', 'OBJECT'))" for i in range(len(header)))
    kinds = f"(SELECT json_type(c0, [{pointers}]) AS kinds FROM cells)"
    nested = [i for i, count in enumerate(lines.con.execute(f"SELECT {counts} FROM {kinds}").fetchone() or ()) if count]
    if nested:
        return Finding("array_in_cell", f"key {', '.join(str(i + 1) for i in nested)}: lists or objects")
    names = ", ".join(f"parts[{i + 1}] AS {column(i)}" for i in range(len(header)))
    parts = f"(SELECT json_extract_string(c0, [{pointers}]) AS parts FROM cells)"
    lines.con.execute(f"CREATE TEMP VIEW flat AS SELECT {names} FROM {parts}")
    return Cells(lines.con, header, rows, view="flat")


def pointer(key: str) -> str:
    """The JSON pointer to a key of an object."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
