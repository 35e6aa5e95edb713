"""Every spelling of a mailbox is one address: in SQL, in the gate's polars and in the oracle's plain Python."""

from collections.abc import Iterator

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from permission_oracle import mailbox as said_by_the_oracle

from expectations.normal import mailbox, normalised_email
from recsys.addresses import define_normal_forms
from recsys.channels.hashing import define_hash_forms

DOMAINS = ("gmail.com", "GoogleMail.com", "GMAIL.COM", "example.com", "gmail.com.example", "mail.gmail.com", "gmail.co")
LOCALS = st.text("aB.+ \u00a0\u200bé@", max_size=8)
ADDRESSES = st.one_of(
    st.builds("{}@{}".format, LOCALS, st.sampled_from(DOMAINS)), st.text("a.+@ \tgmail.com\u200b", max_size=14)
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        define_normal_forms(con)
        define_hash_forms(con)
        yield con


def asked(con: duckdb.DuckDBPyConnection, form: str, addresses: list[str]) -> list[str | None]:
    rows = con.execute(f"SELECT {form} FROM (SELECT unnest($texts::VARCHAR[]) AS text)", {"texts": addresses})
    return [row[0] for row in rows.fetchall()]


def in_sql(con: duckdb.DuckDBPyConnection, addresses: list[str]) -> list[str | None]:
    return asked(con, "mailbox(normalised_email(text))", addresses)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ann@gmail.com", "ann@gmail.com"),
        ("A.N.N@gmail.com", "ann@gmail.com"),
        ("ann+tea+green@gmail.com", "ann@gmail.com"),
        (" a.nn+tea@GoogleMail.com", "ann@gmail.com"),
        ("an n@gmail.com", "ann@gmail.com"),
        ("a.nn+tea@example.com", "a.nn+tea@example.com"),
        ("a.nn@gmail.com.example", "a.nn@gmail.com.example"),
        ("a.nn@mail.gmail.com", "a.nn@mail.gmail.com"),
        ("..+tea@gmail.com", "..+tea@gmail.com"),
        ("a.nn@home@gmail.com", "a.nn@home@gmail.com"),
        (" \u200b", None),
    ],
)
def test_gmail_takes_no_notice_of_dots_nor_of_what_follows_a_plus(
    con: duckdb.DuckDBPyConnection, address: str, expected: str | None
) -> None:
    assert in_sql(con, [address]) == [expected]
    frame = pl.DataFrame({"email": [address]}).with_columns(normalised_email("email"))
    assert frame.select(mailbox("email")).to_series().to_list() == [expected]
    assert said_by_the_oracle(address) == expected


@given(st.lists(ADDRESSES, min_size=1, max_size=30))
def test_all_three_know_the_same_mailboxes(con: duckdb.DuckDBPyConnection, addresses: list[str]) -> None:
    frame = pl.DataFrame({"email": addresses}, schema={"email": pl.String}).with_columns(normalised_email("email"))
    recounted = frame.select(mailbox("email")).to_series().to_list()
    assert in_sql(con, addresses) == recounted == [said_by_the_oracle(address) for address in addresses]


@given(st.lists(ADDRESSES, min_size=2, max_size=30))
def test_addresses_that_a_platform_hashes_alike_are_one_mailbox(
    con: duckdb.DuckDBPyConnection, addresses: list[str]
) -> None:
    """So no hash is left in an audience by another spelling of an address that objected."""
    for form in ("google_email(text)", "meta_email(text)"):
        first: dict[str | None, str | None] = {}
        for hashed, box in zip(asked(con, form, addresses), in_sql(con, addresses), strict=True):
            assert hashed is None or first.setdefault(hashed, box) == box


@given(
    st.text("abc1", min_size=1, max_size=6),
    st.lists(st.sampled_from([".", ""]), min_size=6, max_size=6),
    st.text("ab.+", max_size=4),
    st.sampled_from(DOMAINS[:3]),
)
def test_any_spelling_leads_to_the_plain_one(
    con: duckdb.DuckDBPyConnection, name: str, dots: list[str], tag: str, domain: str
) -> None:
    spelt = "".join(letter + dot for letter, dot in zip(name, dots, strict=False))
    assert in_sql(con, [f"{spelt}+{tag}@{domain}", f"{spelt.upper()}@{domain}"]) == [f"{name}@gmail.com"] * 2
