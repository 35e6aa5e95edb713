"""What one file of a tool must be like, and the reading of a file against it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recsys.lint import cells
from recsys.lint.cells import Cells, Check, column, text
from recsys.lint.headers import header_findings, too_many
from recsys.lint.jsonl import flat_lines
from recsys.lint.octets import layout_of
from recsys.lint.report import Finding, Outcome
from recsys.lint.roles import canonical, role_of
from recsys.lint.shapes import (
    ROLE_RULES,
    Shape,
    array,
    dangerous,
    is_filled,
    longer_than,
    more_characters_than,
    word_for_nothing,
)
from recsys.lint.subscription import gives_subscription

MB = 1_000_000
"""Tools say MB and mean one of two numbers: the smaller one is safe."""

Extra = Callable[["Table"], Iterable[Finding]]


@dataclass(frozen=True)
class Form:
    """The rules of one file: names are headers as the tool spells them."""

    separator: str = ","
    first: tuple[str, ...] = ()
    """The first column's header is one of these."""
    needs: tuple[str, ...] = ()
    """Headers that must be there."""
    identifiers: tuple[tuple[str, ...], ...] = ()
    """Families of identifiers: one is there whole, and every row has one whole."""
    is_first_family_the_key: bool = False
    """Of the families that are there the first one named here identifies; the others are fields like any other."""
    is_spelling_free: bool = False
    """Identifiers may be spelt in any case: the fields are the account's own."""
    unique: bool = True
    """No identifier stands in two rows."""
    names: tuple[str, ...] = ()
    """Other headers that have a meaning to the tool, where another spelling of them would be another field."""
    others: str | None = r".*"
    """A pattern of further headers; None when there are none."""
    repeatable: Mapping[str, int] = field(default_factory=dict)
    """Headers that may stand more than once, and how often."""
    shapes: Mapping[str, tuple[str, Shape] | None] = field(default_factory=dict)
    """Role or header -> rule and shape where the tool's differ from `ROLE_RULES`; None where any text will do."""
    texts_are_safe: bool = False
    """Nothing in the file is free text that a spreadsheet could run."""
    max_bytes: int | None = None
    max_rows: int | None = None
    max_columns: int | None = None
    max_header: int | None = None
    max_cell_bytes: int | None = None
    max_cell_characters: int | None = None
    extras: tuple[Extra, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Every header that the form names, once."""
        named = (*self.first, *self.needs, *(name for family in self.identifiers for name in family), *self.names)
        return tuple(dict.fromkeys(named))

    def keys(self, header: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """The families of identifiers that a file with this header identifies its rows by."""
        here = set(map(canonical, header))
        whole = {
            tuple(map(canonical, family)): family for family in self.identifiers if {*map(canonical, family)} <= here
        }
        return tuple(whole.values())[: 1 if self.is_first_family_the_key else None]

    def lint(self, path: Path) -> Outcome:
        """Read a file: its layout, then its header, then its cells; each only when what comes before it is right."""
        size = tuple(too_many("limit_bytes", path.stat().st_size, self.max_bytes, "bytes"))
        if path.suffix == ".parquet":
            with cells.parquet(path) as content:
                return self._judged(content, size, None)
        layout = layout_of(path, self.separator if path.suffix in {".csv", ".txt"} else None)
        if layout.findings:
            return Outcome(layout.rows, (*size, *layout.findings))
        if path.suffix in {".csv", ".txt"}:
            with cells.delimited(path, layout.header, layout.rows, self.separator) as content:
                return self._judged(content, size, layout.odd_columns)
        with flat_lines(path, layout.rows) as lines:
            return self._judged(lines, size, None)

    def _judged(self, content: Cells | Finding, found: tuple[Finding, ...], odd: frozenset[int] | None) -> Outcome:
        if isinstance(content, Finding):
            return Outcome(0, (*found, content))
        if not content.header:
            return Outcome(0, found)
        headers = tuple(header_findings(self, content.header))
        counts = (*too_many("limit_rows", content.rows, self.max_rows, "rows"), *headers)
        if any(finding.rule in {"header_missing", "header_repeated"} for finding in headers):
            return Outcome(content.rows, (*found, *counts))
        table = Table(self, content, odd if odd is not None else frozenset(range(len(content.header))), odd is not None)
        return Outcome(content.rows, (*found, *counts, *table.findings()))


@dataclass(frozen=True)
class Table:
    """A file whose header was found right, for the rules about its cells."""

    form: Form
    cells: Cells
    odd: frozenset[int]
    is_delimited: bool

    def columns(self, *names: str) -> list[int]:
        """Where headers of these names are, spelt this or another way."""
        wanted = set(map(canonical, names))
        return [i for i, name in enumerate(self.cells.header) if canonical(name) in wanted]

    def place(self, index: int) -> str:
        """How a column is named in findings: by number, and by header only when the tool or this product named it."""
        name = self.cells.header[index]
        is_ours = (
            name in self.form.known or role_of(name) != "text" or re.fullmatch(r"(?i)r(ec)?[ _]?\d+[ _]?[a-z_ ]+", name)
        )
        return f"column {index + 1} {name}" if is_ours else f"column {index + 1}"

    def findings(self) -> Iterator[Finding]:
        """Everything wrong with the cells, in the order of the columns."""
        checks = [check for i in range(len(self.cells.header)) for check in self._checks(i)]
        yield from self.cells.findings([*self._identified(), *checks])
        if self.form.unique:
            for family in self.form.keys(self.cells.header):
                yield from self._unique(family)
        for extra in self.form.extras:
            yield from extra(self)

    def has_none(self, families: Iterable[tuple[str, ...]]) -> str:
        """Holds for a row without a whole family; of a header that stands more than once, one filled cell is enough."""
        names = [[f"({_any(map(text, self.columns(name)))})" for name in family] for family in families]
        return " AND ".join(f"NOT ({' AND '.join(family)})" for family in names) or "false"

    def _identified(self) -> Iterator[Check]:
        none = self.has_none(self.form.keys(self.cells.header))
        empty = " AND ".join(f"{text(i)} = ''" for i in range(len(self.cells.header)))
        yield Check("blank_row", f"{none} AND {empty}")
        yield Check("identifier_missing", f"{none} AND NOT ({empty})")

    def _checks(self, index: int) -> Iterator[Check]:
        header, cell, place = self.cells.header[index], text(index), self.place(index)
        role = role_of(header)
        rule = self.form.shapes.get(header, self.form.shapes.get(role, ROLE_RULES.get(role)))
        if rule and index not in self.cells.typed:
            yield Check(rule[0], rule[1](cell), place)
        is_free = self.is_delimited and not self.form.texts_are_safe and role not in {"email", "phone", "key", "number"}
        if is_free and index in self.odd and (not rule or role == "boolean"):
            yield Check("dangerous_cell", dangerous(cell), place)
        if index in self.odd and role == "text" and not rule and not self.form.texts_are_safe:
            yield Check("array_in_cell", array(cell), place)
            yield Check("null_word", word_for_nothing(cell), place)
        if self.form.max_cell_bytes:
            yield Check("limit_cell_bytes", longer_than(self.form.max_cell_bytes)(cell), place)
        if self.form.max_cell_characters:
            yield Check("limit_cell_characters", more_characters_than(self.form.max_cell_characters)(cell), place)
        subscribes = gives_subscription(header, cell)
        if subscribes:
            yield Check("subscription_field", subscribes, place)

    def _unique(self, family: tuple[str, ...]) -> Iterator[Finding]:
        places = self.columns(*family)
        if not places or len(places) != len(family):
            return
        parts = [f"lower({column(i)})" if role_of(self.cells.header[i]) == "email" else column(i) for i in places]
        filled = " AND ".join(is_filled(text(i)) for i in places)
        key = parts[0] if len(parts) == 1 else f"concat_ws(chr(31), {', '.join(parts)})"
        yield from self.cells.repeated(f"CASE WHEN {filled} THEN {key} END", self.place(places[0]))


def _any(parts: Iterable[str]) -> str:
    return " OR ".join(map(is_filled, parts))
