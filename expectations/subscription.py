"""No finished file subscribes anybody: no column says that somebody agreed, whatever it is called or holds.

Looks at the bytes of every finished file with readers of its own, and at nothing that wrote them or that says which
columns they may have. A tool that maps such a column takes an opt-out back, with yes as with no.
"""

import csv
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import polars as pl

from expectations import json_lines
from expectations.findings import critical, found_none
from recsys.audit import Check
from recsys.database import connect
from recsys.night import Night

STEMS = re.compile(r"subscri(?:b|pti)|opt(?:ed)?in(?!g)|opt(?:ed)?out|consent|newsletter|permission|einwillig|abonn")
"""Inside one word of a column's name: `emailSubscribe`, `$consent`, `smsoptin`; not in `description` or `adopting`."""
PAIRS = frozenset({"optin", "optout", "optedin", "optedout", "doubleopt", "userdata"})
"""Two words of a column's name that stand side by side: `Email Opt-In`, `ad_user_data`."""
WORDS = frozenset(
    [
        "accept",
        "accepted",
        "accepts",
        "agree",
        "agreed",
        "agrees",
        "allow",
        "allowed",
        "allows",
        "confirmed",
        "contactable",
        "gdpr",
        "grant",
        "granted",
        "mailable",
        "permitted",
        "reachable",
        "status",
        "suppressed",
        "unsub",
    ]
)
"""A whole word of a column's name: in `accepts_marketing` and `consent_status`, not in `allowance` or `immigrant`."""
REACHING = frozenset(
    [
        "ad",
        "ads",
        "advertising",
        "call",
        "contact",
        "email",
        "emails",
        "mail",
        "mailing",
        "mails",
        "marketing",
        "message",
        "messages",
        "personalisation",
        "personalization",
        "phone",
        "post",
        "profiling",
        "push",
        "sms",
        "tracking",
    ]
)
AGREEING = frozenset(
    [
        "active",
        "can",
        "enabled",
        "get",
        "gets",
        "may",
        "no",
        "not",
        "off",
        "ok",
        "on",
        "receive",
        "receives",
        "wants",
        "yes",
    ]
)
"""With a word of REACHING in the same name: `marketing_ok`, `can_email`, `do_not_call`."""
AGREED = re.compile(r"(?:double)?opt(?:ed)?in|(?:re)?subscribed|granted|consented|agreed|permitted|allowed|confirmed")
"""The whole of a cell, with everything but letters taken out."""
YES = frozenset({"1", "true", "t", "yes", "y", "on", "x"})
"""The whole of a cell: yes to something. Not in other languages: `ja` and `si` are codes of languages and countries."""
OUTSIDE_TEXT = re.compile(r"(?:^|_)(?:id|name|price|rec_items|topic_\d+)$", re.IGNORECASE)
"""Columns whose cells are the shop's or the customer's own, or a count of products: a product may be called Yes."""
SEPARATORS = {".csv": ",", ".txt": "\t"}


def check(night: Night) -> list[Check]:
    """Two checks on every finished file of the night; details are counts and places of columns.

    A column is named as if somebody agreed, or every filled cell of it says so.
    """
    checks = []
    for path in sorted(path for path in night.files.rglob("*.*") if not path.name.startswith(".")):
        about = f"subscription/{path.relative_to(night.files).as_posix()}"
        names, only = columns(path)
        named = [place for place, name in enumerate(names, start=1) if subscribes(name)]
        filled = [
            place
            for place, (name, cell) in enumerate(zip(names, only, strict=True), start=1)
            if cell is not None and agrees(name, cell)
        ]
        checks += [
            _found(about, "no_column_named_like_a_subscription", named, len(names)),
            _found(about, "no_column_that_says_yes_for_everybody", filled, len(names)),
        ]
    return checks or [critical("subscription", "files_found", passed=False, detail="there is no finished file")]


def subscribes(name: str) -> bool:
    """Whether a column of this name would tell a tool that somebody may, or may not, be written to."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    words = [word for word in re.split(r"[^a-z]+", parted.casefold()) if word]
    there = set(words)
    return bool(
        any(STEMS.search(word) for word in words)
        or PAIRS & {first + second for first, second in pairwise(words)}
        or WORDS & there
        or (REACHING & there and AGREEING & there)
    )


def agrees(name: str, cell: str) -> bool:
    """Whether a column whose every filled cell is this one says that everybody agreed, whatever the column's name."""
    if OUTSIDE_TEXT.search(name):
        return False
    text = unicodedata.normalize("NFKC", cell).casefold().strip()
    return text in YES or bool(AGREED.fullmatch(re.sub(r"[^a-z]+", "", text)))


def columns(path: Path) -> tuple[list[str], list[str | None]]:
    """The names of a finished file's columns, and of each the one value that all its filled cells have, if there is.

    Of JSON the names are those of every member, however deep. Raises ValueError for an end of a name nobody knows.
    """
    if path.suffix in {".csv", ".txt"}:
        names = header(path, SEPARATORS[path.suffix])
        return names, constants(path, len(names), SEPARATORS[path.suffix])
    if path.suffix == ".parquet":
        rows = pl.read_parquet(path)
    elif path.suffix in {".jsonl", ".json"}:
        rows = json_lines.read(path.read_bytes())
    else:
        raise ValueError(f"a finished file ends with {path.suffix}")
    flat = flattened(rows)
    texts = flat.select(pl.all().cast(pl.String).replace("", None)) if flat.width else flat
    lone = [column.drop_nulls().unique() for column in texts]
    return texts.columns, [values.item() if len(values) == 1 else None for values in lone]


def flattened(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without nesting: lists below each other, members of objects and of texts of JSON as columns of their own."""
    while True:
        lists = [name for name, kind in rows.schema.items() if isinstance(kind, pl.List)]
        structs = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Struct)]
        if "PAYLOAD" in rows.columns and rows.height:
            decoded = json_lines.read("\n".join(rows["PAYLOAD"]).encode())
            rows = pl.concat([rows.drop("PAYLOAD"), decoded], how="horizontal")
        elif lists:
            rows = rows.explode(lists[0])
        elif structs:
            members = rows[structs[0]].struct.fields
            clash = {name: f"{structs[0]}.{name}" for name in members if name in rows.columns}
            inner = rows[structs[0]].struct.unnest().rename(clash)
            rows = pl.concat([rows.drop(structs[0]), inner], how="horizontal")
        else:
            return rows


def header(path: Path, separator: str = ",") -> list[str]:
    """The names in the first line of a CSV file; none of an empty file."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return next(csv.reader(stream, delimiter=separator), [])


def constants(path: Path, columns: int, separator: str = ",") -> list[str | None]:
    """Of each column the one value that all its filled cells have; None where they differ or none is filled."""
    if not columns:
        return []
    types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(columns))
    extremes = ", ".join(f"min(nullif(c{place}, '')), max(nullif(c{place}, ''))" for place in range(columns))
    with connect(folders=[path.parent]) as con:
        found = con.execute(
            f"SELECT {extremes} FROM read_csv($path, columns = {{{types}}}, header = true, auto_detect = false, "
            "delim = $separator, quote = '\"', escape = '\"', strict_mode = false, null_padding = true)",
            {"path": str(path), "separator": separator},
        ).fetchall()[0]
    return [low if low == high else None for low, high in zip(found[::2], found[1::2], strict=True)]


def _found(about: str, name: str, places: list[int], of: int) -> Check:
    if not places:
        return found_none(about, name, 0, of, noun="columns")
    shown = ", ".join(map(str, places))
    return critical(about, name, passed=False, detail=f"{len(places)} of {of} columns, counted from 1: {shown}")
