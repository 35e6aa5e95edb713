"""Hashed identifiers: SHA-256 in 64 lower-case hexadecimal digits, of something, once."""

import hashlib
from collections.abc import Iterable, Iterator

from recsys.database import literal
from recsys.lint.cells import Check, text
from recsys.lint.form import Table
from recsys.lint.report import Finding

_HEX, _LOWER_HEX = "'^[0-9A-Fa-f]{64}$'", "'^[0-9a-f]{64}$'"
_PLAIN = r"'@|^[+]?[0-9][0-9 ().-]{4,20}$'"
_NOTHINGS = (
    "",
    " ",
    "\n",
    "+",
    "0",
    "null",
    "NULL",
    "none",
    "None",
    "nan",
    "NaN",
    "undefined",
    "n/a",
    "unknown",
    "''",
    '""',
)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


HASHES_OF_NOTHING = frozenset(map(_sha256, _NOTHINGS)) | {_sha256(_sha256(""))}


def hashed_cells(table: Table, names: Iterable[str]) -> Iterator[Finding]:
    """What is wrong with the columns of these names, all of which must be hashed or empty."""
    nothing = ", ".join(map(literal, sorted(HASHES_OF_NOTHING)))
    places = [i for name in names for i in table.columns(name)]
    checks = []
    for i in places:
        cell, place = text(i), table.place(i)
        is_hex, is_plain = f"regexp_matches({cell}, {_HEX})", f"regexp_matches({cell}, {_PLAIN})"
        checks += [
            Check("hash_plain", f"{is_plain} AND NOT {is_hex}", place),
            Check("hash_shape", f"{cell} <> '' AND NOT {is_hex} AND NOT {is_plain}", place),
            Check("hash_upper_case", f"{is_hex} AND NOT regexp_matches({cell}, {_LOWER_HEX})", place),
            Check("hash_of_nothing", f"lower({cell}) IN ({nothing})", place),
        ]
    yield from table.cells.findings(checks)
    yield from _hashed_twice(table, places)


def _hashed_twice(table: Table, places: list[int]) -> Iterator[Finding]:
    """A hash whose own hash stands in the file as well; of one that stands there alone nobody can tell."""
    all_hashes = " UNION ".join(f"SELECT lower(c{i}) AS hash FROM {table.cells.view} WHERE c{i} <> ''" for i in places)
    twice = table.cells.number(
        f"WITH hashes AS ({all_hashes}) SELECT count(*) FROM hashes WHERE sha256(hash) IN (FROM hashes)"
    )
    if twice:
        yield Finding("hash_of_hash", f"{twice:,} hashes are hashed once more elsewhere in the file")


def plain_cells(table: Table, names: Iterable[str]) -> Iterator[Finding]:
    """A finding for each column of these names that is hashed though the tool takes it plain."""
    places = [i for name in names for i in table.columns(name)]
    yield from table.cells.findings(
        [Check("hash_unwanted", f"regexp_matches({text(i)}, {_HEX})", table.place(i)) for i in places]
    )


def people_once(table: Table, *names: str) -> Iterator[Finding]:
    """Nobody twice: by the first name that a row has, so that two people of one household may share a telephone."""
    before: list[str] = []
    for name in names:
        places = table.columns(name)
        if places:
            missing = " AND ".join(f"{cell} = ''" for cell in before) or "true"
            key = f"CASE WHEN {missing} THEN nullif(lower({text(places[0])}), '') END"
            yield from table.cells.repeated(key, table.place(places[0]))
            before += map(text, places)
