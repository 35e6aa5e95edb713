"""The header of a file against its form."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recsys.lint.report import Finding
from recsys.lint.roles import canonical

if TYPE_CHECKING:
    from recsys.lint.form import Form

_DATA = re.compile(r"[^@\s]+@[^@\s]+\.\w+|\+?[0-9][0-9 ().:TZ-]*")


def header_findings(form: "Form", header: tuple[str, ...]) -> Iterator[Finding]:
    """Everything wrong with a header. Headers that nobody named are told by their place: they may be a person's row."""
    if not any(name in header for name in form.known) and any(map(_DATA.fullmatch, header)):
        yield Finding("header_missing", "the first row holds data")
        return
    spelt = {canonical(name): name for name in reversed(form.known)}
    yield from too_many("limit_columns", len(header), form.max_columns, "columns")
    yield from too_many("limit_header", max(map(len, header)), form.max_header, "characters in the longest header")
    here = {canonical(name) for name in header if canonical(name) in spelt}
    if form.first and canonical(header[0]) not in map(canonical, form.first):
        yield Finding("header_missing", f"column 1 is not {' or '.join(form.first)}")
    elif form.identifiers and not form.keys(header):
        yield Finding("header_missing", f"none of {' | '.join(' + '.join(f) for f in form.identifiers)}")
    for name in form.needs:
        if canonical(name) not in here:
            yield Finding("header_missing", name)
    empty = [i for i, name in enumerate(header) if not name.strip()]
    if empty:
        yield Finding("header_missing", f"{_columns(empty)}: no header")
    for i, name in enumerate(header):
        wanted = spelt.get(canonical(name))
        if (
            name.strip()
            and wanted
            and name not in form.known
            and not (form.is_spelling_free and _identifies(form, name))
        ):
            yield Finding("header_case", f"column {i + 1} should read {wanted}")
    yield from _repeated(form, header)
    unknown = [
        i for i, name in enumerate(header)
        if name.strip() and canonical(name) not in spelt and not re.fullmatch(form.others or r"(?!)", name)
    ]  # fmt: skip
    if unknown:
        yield Finding("header_unknown", f"{_columns(unknown)}: not among what the tool knows")


def _identifies(form: "Form", name: str) -> bool:
    return canonical(name) in {canonical(each) for family in form.identifiers for each in family}


def _repeated(form: "Form", header: tuple[str, ...]) -> Iterator[Finding]:
    folded = [name.strip().lower() for name in header]
    for name in dict.fromkeys(folded):
        allowed = next((most for known, most in form.repeatable.items() if known.lower() == name), 1)
        if name and folded.count(name) > allowed:
            places = [i for i, other in enumerate(folded) if other == name]
            yield Finding("header_repeated", f"{_columns(places)}: one name; at most {allowed} allowed")


def too_many(rule: str, number: int, most: int | None, of: str) -> Iterator[Finding]:
    """A finding when a number is above the most that a tool takes; None takes any."""
    if most is not None and number > most:
        yield Finding(rule, f"{number:,} {of}, at most {most:,}")


def _columns(places: list[int]) -> str:
    return f"{'column' if len(places) == 1 else 'columns'} {', '.join(str(i + 1) for i in places)}"
