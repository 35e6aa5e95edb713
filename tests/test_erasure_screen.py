"""What is taken out of a source file: the rows of erased people, in every format, and nothing of anybody else."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.config import Shop, load_shop
from recsys.erasure.screen import Screen
from recsys.errors import SourceRefused
from recsys.suppression import memory
from recsys.suppression.key import KEY_ENV, Key

SECRET = "5e" * 32
KEY = Key(bytes.fromhex(SECRET))
SHOP = """\
shop: toy
currency: EUR
data_root: data
tables:
  customers:
    files: ["in/customers*"]
    csv: {header: [id, mail, phone, note]}
    columns: {customer_id: id, email: mail, phone: phone}
  products: {format: parquet, files: [in/p], columns: {product_id: p, name: p}}
  order_lines:
    files: ["in/orders*"]
    csv:
      header: [number, who, visitor, sku, qty, day, memo]
      delimiter: ";"
      quote: "'"
      escape: "\\\\"
      encoding: latin-1
    columns:
      order_id: number
      customer_id: upper(who)
      visitor_id: visitor
      product_id: sku
      quantity: qty
      ordered_at: day
  web_events:
    files: ["in/events*"]
    format: jsonl
    fields: [id, who, kind, at, extra]
    columns: {event_id: id, customer_id: who, event_type: kind, occurred_at: at}
  contacts:
    files: ["in/contacts*"]
    format: parquet
    columns: {message_id: id, customer_id: who, channel: "'email'", sent_at: at}
  engagements:
    files: ["in/engagements*"]
    csv: {header: [message, event, at], final_newline: false}
    columns: {message_id: message, event_type: event, occurred_at: at}
  suppressions:
    files: ["in/suppressions*"]
    csv: {header: [who, mail, phone, since]}
    columns: {customer_id: who, email: mail, phone: phone, channel: "'all'", reason: "'complaint'", occurred_at: since}
  identities:
    same_files_as: order_lines
    columns: {visitor_id: visitor, customer_id: upper(who), seen_at: day}
channels:
  - {name: email_file, kind: email_file}
"""
ERASED = {
    "customer_id": ["K17", "v-9"],
    "email": ["kim@example.com"],
    "phone": ["+49151777"],
    "message_id": ["m-1"],
    "order_id": ["o-1"],
}


def make_shop(folder: Path) -> Shop:
    folder.mkdir(exist_ok=True)
    (folder / "in").mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    return load_shop(folder / "shop.yaml")


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv(KEY_ENV, SECRET)
    return screen_of(make_shop(tmp_path / "shop"))


def screen_of(shop: Shop) -> Screen:
    rows = [(kind, KEY.hash(value)) for kind, values in ERASED.items() for value in values]
    memory.add_erased(
        shop.root / "published", KEY, pl.DataFrame(rows, schema=["kind", "hash"], orient="row"), date(2026, 4, 1)
    )
    return Screen(shop, KEY, shop.root / "published" / memory.ERASED)


def cleaned(screen: Screen, name: str, content: bytes) -> bytes | None:
    """What is left of a file; None when nothing in it is of an erased person."""
    path = screen.shop.folder / "in" / name
    path.write_bytes(content)
    changed = screen.clean(path, f"in/{name}", screen.readers(f"in/{name}"))
    assert not [other.name for other in path.parent.iterdir() if other.suffix in {".made", ".tmp"}]
    if not changed:
        assert path.read_bytes() == content
        return None
    assert not screen.clean(path, f"in/{name}", screen.readers(f"in/{name}"))
    return path.read_bytes()


def lines(content: bytes | None) -> list[str]:
    assert content is not None
    return content.decode().splitlines()


def test_who_is_erased_goes_by_id_and_whoever_shares_their_address_stays(screen: Screen) -> None:
    left = cleaned(
        screen,
        "customers.csv",
        b"id,mail,phone,note\nK17,kim@example.com,+49151777,\nK18,KIM@example.com,,mine\nK17,new@x.de,,\nk17,,,other\n",
    )
    assert lines(left) == ["id,mail,phone,note", "K18,KIM@example.com,,mine", "k17,,,other"]


def test_a_cell_that_nothing_reads_is_emptied_and_the_row_stays(screen: Screen) -> None:
    """Numbers that look like an id are left alone where they are read as something else."""
    left = cleaned(
        screen,
        "customers.csv",
        b'id,mail,phone,note\nK1,a@x.de,,"flat of K17, call kim@example.com"\n'
        b"K2,b@x.de,,K171 is no K1\nK3,,,Kim@Example.com\nK4,,,0049 151 / 777\nK5,,,0049 151 / 778\n",
    )
    assert lines(left)[1:] == ["K1,a@x.de,,", "K2,b@x.de,,K171 is no K1", "K3,,,", "K4,,,", "K5,,,0049 151 / 778"]
    orders = b"number;who;visitor;sku;qty;day;memo\nK17;K1;;K17;17;2026-01-01;\n"
    assert cleaned(screen, "orders.csv", orders) is None


def test_a_row_without_ids_goes_by_its_address_its_message_or_its_order(screen: Screen) -> None:
    suppressions = b'who,mail,phone,since\n,"kim@EXAMPLE.com ",,2026-01-01\n,,0049 (151) 777,2026-01-01\n'
    suppressions += b"K1,kim@example.com,,2026-01-01\n,a@x.de,,2026-01-01\n"
    assert lines(cleaned(screen, "suppressions.csv", suppressions)) == [
        "who,mail,phone,since",
        "K1,kim@example.com,,2026-01-01",
        ",a@x.de,,2026-01-01",
    ]
    engagements = b"message,event,at\nm-1,open,2026-01-01\nm-2,open,2026-01-01"
    assert lines(cleaned(screen, "engagements.csv", engagements)) == ["message,event,at", "m-2,open,2026-01-01"]


def test_a_file_that_two_tables_read_is_judged_by_the_ids_of_both(screen: Screen) -> None:
    """Expressions count, as in mapping: k17 is K17 here. Dialect and encoding come back as they were."""
    content = (
        "number;who;visitor;sku;qty;day;memo\n1;k17;;s;1;2026-01-01;x\n2;;v-9;s;1;2026-01-01;x\n"
        "3;K1;;s;1;2026-01-01;'caf\xe9; it\\'s\ntwo lines'\no-1;K2;;s;1;2026-01-01;\no-1;;;s;1;2026-01-01;\n"
    ).encode("latin-1")
    left = cleaned(screen, "orders.csv", content)
    assert left is not None
    rows = list(csv.reader(io.StringIO(left.decode("latin-1")), delimiter=";", quotechar="'", escapechar="\\"))
    assert rows[1:] == [
        ["3", "K1", "", "s", "1", "2026-01-01", "café; it's\ntwo lines"],
        ["o-1", "K2", "", "s", "1", "2026-01-01", ""],
    ]


def test_broken_lines_go_when_a_word_in_them_is_erased_and_stay_otherwise(screen: Screen) -> None:
    content = b"id,mail,phone,note\nK1,a@x.de,,,,more\nx,KIM@example.com\nK17\nK2,b@x.de,,\n"
    assert lines(cleaned(screen, "customers.csv", content)) == [
        "id,mail,phone,note",
        "K1,a@x.de,,,,more",
        "K2,b@x.de,,",
    ]
    engagements = b"message,event,at\nm-3,open\nm-1,open,2026-01-01\nm-2,open,2026-01-01"
    assert lines(cleaned(screen, "engagements.csv", engagements)) == [
        "message,event,at",
        "m-3,open",
        "m-2,open,2026-01-01",
    ]


def test_lines_of_json_and_what_is_compressed(screen: Screen) -> None:
    rows = [
        {"id": "e1", "who": "K17", "kind": "view", "at": "2026-01-01"},
        {"id": "e2", "who": "K1", "kind": "view", "at": "2026-01-01", "extra": {"with": ["K17", "K2"]}},
        {"id": "e3", "who": "K2", "kind": "view", "at": "2026-01-01", "extra": [1, 2]},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows) + '{"broken": "K17"\n{"broken": "K1"\n'
    left = cleaned(screen, "events.jsonl.gz", gzip.compress(content.encode(), mtime=0))
    assert left is not None
    plain = gzip.decompress(left).decode().splitlines()
    assert plain[0] == '{"broken": "K1"'
    found = [{key: value for key, value in json.loads(line).items() if value is not None} for line in plain[1:]]
    assert [row["id"] for row in found] == ["e2", "e3"]
    assert "extra" not in found[0]
    assert json.loads(found[1]["extra"]) == [1, 2]


def test_parquet_keeps_its_types(screen: Screen) -> None:
    stream = io.BytesIO()
    frame = pl.DataFrame(
        {
            "id": ["m-7", "m-8", "m-9"],
            "who": ["K17", "K1", "K2"],
            "at": [date(2026, 1, 1)] * 3,
            "weight": pl.Series(["1.5", "2.5", "3.5"]).cast(pl.Decimal(9, 2)),
            "tags": [["a"], ["K17"], ["b", "c"]],
        }
    )
    frame.write_parquet(stream)
    left = cleaned(screen, "contacts.parquet", stream.getvalue())
    assert left is not None
    kept = pl.read_parquet(io.BytesIO(left))
    assert kept.schema == frame.schema
    assert kept.rows() == [
        ("m-8", "K1", date(2026, 1, 1), frame["weight"][1], None),
        ("m-9", "K2", date(2026, 1, 1), frame["weight"][2], ["b", "c"]),
    ]


def test_a_file_of_nobody_else_becomes_an_empty_one(screen: Screen) -> None:
    assert lines(cleaned(screen, "customers.csv", b"id,mail,phone,note\nK17,,,\n")) == ["id,mail,phone,note"]
    row = json.dumps({"id": "e1", "who": "K17", "kind": "view", "at": "2026-01-01"})
    assert cleaned(screen, "events.jsonl", f"{row}\n".encode()) == b""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("customers.csv", b"id,mail\nK17,kim@example.com\n"),
        ("customers.csv.gz", gzip.compress(b"id,mail,phone,note\nK17,,,\n", mtime=0)[:-9]),
        ("contacts.parquet", b"PAR1 no"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(screen: Screen, name: str, content: bytes) -> None:
    with pytest.raises(SourceRefused) as refused:
        cleaned(screen, name, content)
    assert "kim" not in str(refused.value)


TEXTS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cc", "Cs")), max_size=8
) | st.sampled_from(["a,b", 'say "x"', "two\nlines", " edge ", "'", "=1+1", "NULL", "\\"])
WHO = st.sampled_from(["K17", "K1", "K2", "K171", "17"])


@given(rows=st.lists(st.tuples(WHO, TEXTS, TEXTS), max_size=12))
@settings(max_examples=tries(25), deadline=None)
def test_rows_of_everybody_else_are_read_back_as_they_were(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is in their cells: against Python's csv."""
    screen = screen_of(make_shop(tmp_path_factory.mktemp("law") / "shop"))
    stream = io.StringIO()
    writer: Callable[[list[str]], object] = csv.writer(stream, lineterminator="\n").writerow
    writer(["id", "mail", "phone", "note"])
    for who, mail, phone in rows:
        writer([who, mail, phone, ""])
    left = cleaned(screen, "customers.csv", stream.getvalue().encode())
    expected = [[*row, ""] for row in rows if row[0] != "K17"]
    assert (left is None) == (len(expected) == len(rows))
    if left is not None:
        assert list(csv.reader(io.StringIO(left.decode(), newline="")))[1:] == expected
