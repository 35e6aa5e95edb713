"""Addresses are hashed as each platform hashes them: golden vectors from its rules, and laws on addresses made up."""

import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.channels.hashing import MACROS, define_hash_forms
from recsys.database import connect

GOLDEN = Path(__file__).parent / "golden"
EMPTY = hashlib.sha256(b"").hexdigest()
ESCAPES = {"t": "\t", "n": "\n"}


def shown(text: str) -> str:
    r"""A cell of a golden file, with \u00a0, \t and \n for what could not be seen in it."""
    return re.sub(r"\\(?:u([0-9a-f]{4})|([tn]))", lambda at: chr(int(at[1], 16)) if at[1] else ESCAPES[at[2]], text)


def vectors(platform: str) -> list[tuple[str, str, str, str]]:
    with (GOLDEN / f"hashing_{platform}.csv").open(encoding="utf-8", newline="") as stream:
        return [
            (row["kind"], shown(row["input"]), shown(row["normalised"]), row["sha256"])
            for row in csv.DictReader(stream)
        ]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as con:
        define_hash_forms(con)
        yield con


def forms(con: duckdb.DuckDBPyConnection, macro: str, texts: Sequence[str | None]) -> list[str | None]:
    """What a form makes of each text, in their order."""
    assert macro in MACROS
    rows = con.execute(
        f"SELECT {macro}(text) FROM (SELECT unnest($texts::VARCHAR[]) AS text, unnest(range(len($texts))) AS n) "
        "ORDER BY n",
        {"texts": list(texts)},
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("platform", ["google", "meta"])
def test_every_golden_vector_comes_out_as_the_rules_say(con: duckdb.DuckDBPyConnection, platform: str) -> None:
    rows = vectors(platform)
    assert len(rows) >= 40
    for kind in {kind for kind, *_ in rows}:
        of_kind = [row[1:] for row in rows if row[0] == kind]
        found = forms(con, f"{platform}_{kind}", [text for text, _, _ in of_kind])
        hashes = con.execute("SELECT [sha256(form) for form in $found::VARCHAR[]]", {"found": found}).fetchone()
        assert hashes is not None
        assert [
            (text, form or "", sha256 or "")
            for (text, _, _), form, sha256 in zip(of_kind, found, hashes[0], strict=True)
        ] == of_kind
    for _, _, normalised, sha256 in rows:
        assert sha256 == (hashlib.sha256(normalised.encode()).hexdigest() if normalised else "")


@pytest.mark.parametrize("macro", sorted(MACROS))
def test_nothing_gives_nothing(con: duckdb.DuckDBPyConnection, macro: str) -> None:
    assert forms(con, macro, [None]) == [None]


@pytest.mark.parametrize("texts", [[None, None], [None, "ann"], [""], ["ann"]])
@pytest.mark.parametrize("macro", sorted(MACROS))
def test_a_column_of_nothing_is_a_column_like_any_other(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, macro: str, texts: list[str | None]
) -> None:
    """Of a file whose statistics say so beforehand."""
    pl.DataFrame({"text": texts}, schema={"text": pl.String}).write_parquet(tmp_path / "column.parquet")
    with connect(folders=[tmp_path]) as other:
        define_hash_forms(other)
        read = f"SELECT {macro}(text), sha256({macro}(text)) FROM read_parquet($path)"
        found = other.execute(read, {"path": str(tmp_path / "column.parquet")}).fetchall()
    assert [row[0] for row in found] == forms(con, macro, texts)
    assert all((form is None) is (hashed is None) for form, hashed in found)


FORMS = [name for name in sorted(MACROS) if name.endswith(("_email", "_phone", "_name", "_country"))]
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
locals_ = st.lists(words, min_size=1, max_size=3).map(".".join)
tags = st.one_of(st.just(""), words.map("+{}".format))
emails = st.builds(
    "{}{}@{}".format, locals_, tags, st.sampled_from(["gmail.com", "googlemail.com", "example.com", "gmx.de"])
)
codes = st.sampled_from(["1", "49", "44", "358"])
phones = st.builds("+{}{}".format, codes, st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True))
spaces = st.text(" \t\u00a0\u200b\u202f", max_size=3)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
law = settings(deadline=None, max_examples=tries(15))


@given(texts=st.lists(st.one_of(st.text(max_size=20), emails, phones, hashes), min_size=10, max_size=30))
@law
def test_nothing_empty_and_no_hash_is_ever_hashed(con: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for macro in FORMS:
        found = forms(con, macro, texts)
        kept = [form for form in found if form is not None]
        assert all(form.strip() and hashlib.sha256(form.encode()).hexdigest() != EMPTY for form in kept)
        assert not any(re.fullmatch("[0-9a-f]{64}", form) for form in kept)
        assert forms(con, macro, kept) == kept


@given(
    given_=st.lists(st.tuples(emails, spaces, spaces, st.lists(st.booleans(), min_size=50, max_size=50)), min_size=5)
)
@law
def test_case_and_outer_space_make_no_other_hash(
    con: duckdb.DuckDBPyConnection, given_: list[tuple[str, str, str, list[bool]]]
) -> None:
    plain = [email for email, *_ in given_]
    written = [
        before + "".join(c.upper() if up else c for c, up in zip(email, upper, strict=False)) + email[50:] + after
        for email, before, after, upper in given_
    ]
    for macro in ("google_email", "meta_email"):
        assert forms(con, macro, written) == forms(con, macro, plain)
    assert forms(con, "meta_email", written) == plain


@given(given_=st.lists(emails, min_size=5, max_size=30))
@law
def test_the_platforms_differ_where_their_rules_do(con: duckdb.DuckDBPyConnection, given_: list[str]) -> None:
    """Google's rule for Gmail once more, with text methods; Meta has none."""
    folded = []
    for local, _, domain in (email.partition("@") for email in given_):
        is_gmail = domain in {"gmail.com", "googlemail.com"}
        folded.append(f"{local.partition('+')[0].replace('.', '') if is_gmail else local}@{domain}")
    assert forms(con, "google_email", given_) == folded
    assert forms(con, "meta_email", given_) == given_


@given(
    given_=st.lists(phones, min_size=5, max_size=30),
    gaps=st.lists(st.sampled_from(["", " ", "-", "/", ".", "\u00a0"]), min_size=20, max_size=20),
)
@law
def test_a_phone_number_has_a_plus_for_google_and_none_for_meta(
    con: duckdb.DuckDBPyConnection, given_: list[str], gaps: list[str]
) -> None:
    spaced = ["".join(digit + gap for digit, gap in zip(phone, gaps, strict=False)) for phone in given_]
    for texts in (given_, spaced, [f" {text.replace('+', '00', 1)} " for text in spaced]):
        assert forms(con, "google_phone", texts) == given_
        assert forms(con, "meta_phone", texts) == [phone[1:] for phone in given_]


@given(texts=st.lists(st.text("+0123456789()-/. ab\u00a0", max_size=18), min_size=10, max_size=60))
@law
def test_both_platforms_read_the_same_number_or_google_none(con: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for google, meta in zip(forms(con, "google_phone", texts), forms(con, "meta_phone", texts), strict=True):
        assert google is None or google == f"+{meta}"


@given(names=st.lists(st.text(st.characters(categories=["L", "M", "P", "Zs"]), max_size=10), min_size=5, max_size=30))
@law
def test_composed_and_decomposed_names_are_one_name(con: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    composed, decomposed = ([unicodedata.normalize(to, name) for name in names] for to in ("NFC", "NFD"))
    assert forms(con, "meta_name", composed) == forms(con, "meta_name", decomposed)
