"""Files of hashed addresses lose erased people too, by whichever platform's rules they were hashed."""

import hashlib
from pathlib import Path

import polars as pl
import pytest
import toy

from recsys.erasure.marks import Marks
from recsys.erasure.people import find
from recsys.suppression.key import Key

KEY = Key(bytes.fromhex("5e" * 32))
GONE = [("kim", " Kim.Doe+news@GMail.com", "+49 (0)151 7777391"), ("kim", "kim@example.com", None)]
STAYS = ("max", "max.doe@gmail.com", "+4915112345678")


def sha(text: str | None) -> str | None:
    return text if text is None else hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    """Who Kim is, of the landed rows of a shop in which she and Max are."""
    shop = toy.write_shop(tmp_path)
    (shop.root / "landed" / "customers").mkdir(parents=True)
    rows = pl.DataFrame([*GONE, STAYS], schema=["customer_id", "email", "phone"], orient="row")
    rows.write_parquet(shop.root / "landed" / "customers" / "1.parquet")
    people = find(shop, KEY, ["kim"], frozenset())
    assert people.unknown == ()
    return Marks(KEY, people.identifiers.select("kind", "hash", "person"))


@pytest.mark.parametrize(
    ("columns", "gone", "stays"),
    [
        (
            ("Email", "Phone"),
            [("kimdoe@gmail.com", None), ("other@example.com", "+491517777391"), ("kim@example.com", "+33123456789")],
            [("maxdoe@gmail.com", "+4915112345678"), (None, "+33123456789")],
        ),
        (
            ("email", "phone"),
            [("kim.doe+news@gmail.com", None), ("other@example.com", "491517777391"), ("kim@example.com", None)],
            [("max.doe@gmail.com", "4915112345678"), ("kim.doe@gmail.com", "33123456789")],
        ),
    ],
)
def test_a_file_of_hashes_loses_who_is_erased_and_nobody_else(
    marks: Marks,
    columns: tuple[str, str],
    gone: list[tuple[str | None, str | None]],
    stays: list[tuple[str | None, str | None]],
) -> None:
    hashed = [tuple(map(sha, row)) for row in (*gone, *stays)]
    rows = pl.DataFrame(hashed, schema=dict.fromkeys(columns, pl.String), orient="row")
    assert marks.without(rows).rows() == hashed[len(gone) :]
    assert marks.found(rows).height == len(gone)


def test_plain_addresses_are_found_beside_hashed_ones(marks: Marks) -> None:
    rows = pl.DataFrame({"Email": ["KIM@example.com", "max.doe@gmail.com", sha("kim@example.com")]})
    assert marks.without(rows)["Email"].to_list() == ["max.doe@gmail.com"]


def test_what_is_kept_of_erased_people_is_neither_an_address_nor_its_hash(marks: Marks) -> None:
    kept = set(marks.hashes["hash"])
    known = {"kim.doe+news@gmail.com", "kimdoe@gmail.com", "kim@example.com", "+491517777391", "491517777391"}
    assert {KEY.hash(str(sha(text))) for text in known} <= kept
    assert kept.isdisjoint(known | {str(sha(text)) for text in known})
