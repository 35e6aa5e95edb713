"""What every channel's files must hold, and the audience they are tried with.

A channel's tests inherit `ChannelContract`, say how to make the channel and how to put texts into its decisions.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import tries

from recsys.channels.base import Channel
from recsys.database import connect, literal
from recsys.errors import CannotRender, StageInputMissing
from recsys.tables import write_parquet

RUN_DATE = date(2026, 3, 31)

SEND_WINDOW: dict[str, pl.DataType] = dict.fromkeys(("send_not_before", "send_not_after"), pl.Datetime("us"))

SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "sync_email_file__recipients": dict.fromkeys(
        ("channel", "customer_id", "email", "first_name", "language", "country", "choices_applied"), pl.String()
    )
    | SEND_WINDOW,
    "sync_email_file__items": dict.fromkeys(("channel", "customer_id"), pl.String())
    | {"rank": pl.Int32()}
    | dict.fromkeys(
        ("product_id", "product_name", "reason", "reason_kind", "reason_about", "url", "image_url"), pl.String()
    )
    | {"price": pl.Decimal(18, 4), "currency": pl.String()},
    "sync_crm_file__recipients": dict.fromkeys(
        ("channel", "customer_id", "language", "country", "choices_applied"), pl.String()
    )
    | SEND_WINDOW,
    "sync_crm_file__items": dict.fromkeys(("channel", "customer_id"), pl.String())
    | {"rank": pl.Int32()}
    | dict.fromkeys(("product_id", "product_name", "reason", "reason_kind", "reason_about"), pl.String()),
    "sync_email_file__removals": dict.fromkeys(("channel", "customer_id", "email", "reason"), pl.String())
    | {"left_since": pl.Date()},
    "sync_crm_file__removals": dict.fromkeys(("channel", "customer_id", "reason"), pl.String())
    | {"left_since": pl.Date()},
    "sync_tool__recipients": dict.fromkeys(
        (
            *("channel", "customer_id", "email", "phone", "first_name", "last_name", "language", "country"),
            *("timezone", "choices_applied"),
        ),
        pl.String(),
    )
    | SEND_WINDOW
    | {"may_personalise": pl.Boolean()},
    "sync_tool__items": dict.fromkeys(("channel", "customer_id"), pl.String())
    | {"rank": pl.Int32()}
    | dict.fromkeys(
        ("product_id", "product_name", "reason", "reason_kind", "reason_about", "url", "image_url"), pl.String()
    )
    | {"price": pl.Decimal(18, 4), "currency": pl.String()},
    "sync_tool__removals": dict.fromkeys(("channel", "customer_id", "email", "phone", "reason"), pl.String())
    | {"left_since": pl.Date()},
    "sync_tool__held": dict.fromkeys(("channel", "customer_id", "email", "phone", "row_sha"), pl.String())
    | {"is_everywhere": pl.Boolean()},
    "sync_check_in__recipients": dict.fromkeys(
        ("channel", "customer_id", "email", "phone", "first_name", "language", "country"), pl.String()
    )
    | SEND_WINDOW,
    "sync_check_in__topics": dict.fromkeys(("channel", "customer_id"), pl.String())
    | {"rank": pl.Int32()}
    | dict.fromkeys(("topic", "why", "reason"), pl.String()),
    "sync_catalogue__products": dict.fromkeys(("product_id", "name", "category", "brand"), pl.String())
    | {"price": pl.Decimal(18, 4)}
    | dict.fromkeys(("currency", "url", "image_url"), pl.String()),
}


def write_decisions(folder: Path, **rows: Sequence[dict[str, object]]) -> Path:
    """The export tables as `decide` leaves them, in `folder`; tables that are not given have no rows."""
    for table, schema in SCHEMAS.items():
        write_parquet(pl.DataFrame(rows.get(table, []), schema=schema, orient="row"), folder / f"{table}.parquet")
    return folder


def is_dangerous(cell: str) -> bool:
    """Would a spreadsheet, or a person's eye fooled by invisible characters, take this cell for a formula?"""
    return any(_visible(form)[:1] in {"=", "+", "-", "@"} for form in (cell, unicodedata.normalize("NFKC", cell)))


IGNORABLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0" + "".join(
    map(chr, range(0xFE00, 0xFE10))
)


def _visible(text: str) -> str:
    for place, letter in enumerate(text):
        if not (letter.isspace() or letter in IGNORABLE or unicodedata.category(letter)[0] in "ZC"):
            return text[place:]
    return ""


def one_line(text: str) -> str:
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


INVISIBLE = (
    "",
    " ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u202e",
    "\u3164",
)
FORMULAS = (
    "=1+1",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://evil.example","Win")',
    "+1+1",
    "+49 151 1234",
    "-2+3",
    "@SUM(1,2)",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    "\ufe661",
    "\u208a1",
    "\u207c1",
    "=\u03381",
)
INJECTIONS = [blank + formula for blank in INVISIBLE for formula in FORMULAS]

HARMLESS = (
    "Ann",
    "Émilie",
    "O'Neil",
    '5" pipe',
    "a=b",
    "1+1",
    "e-mail @home",
    "'quoted'",
    "€ 5",
    "Tee, grün; süß|mild",
    "李雷",
    "🍵",
    "''",
    '"',
    ",",
)

nasty = st.sampled_from([*"=+-@'\",;|\t\r\n\x00\x1a\u2028\u0085\ufeff\u200b\u00a0\uff1d\u0338\\", "\r\n", '""'])
letters = st.characters(exclude_categories=["Cs", "Cn"])
hostile_texts = st.lists(st.lists(nasty | letters, max_size=12).map("".join), min_size=1, max_size=25)


class ChannelContract:
    """Every channel's finished file: what a tool may rely on, whatever the audience."""

    free_text: tuple[str, ...]
    """The file's columns that hold free text; `put` fills all of them."""

    def channel(self) -> Channel:
        raise NotImplementedError

    def put(self, folder: Path, texts: dict[str, str | None]) -> Path:
        """Decisions with one row per id, whose every free text is the given one; rows in the dictionary's order."""
        raise NotImplementedError

    # -- reading what was written

    def rendered(self, folder: Path, texts: dict[str, str | None]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows = self.channel().render(self.put(folder / "decisions", texts), folder / "files", RUN_DATE)
        assert rows == len(texts)
        return folder / "files" / f"{self.channel().name}_{RUN_DATE:%Y%m%d}.csv"

    def read(self, path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream, strict=True))

    def read_in_duckdb(self, path: Path) -> list[dict[str, str]]:
        columns = self.channel().columns
        types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
        with connect(folders=[path.parent]) as con:
            rows = con.execute(
                f"SELECT * FROM read_csv($path, columns={{{types}}}, header=true, auto_detect=false, delim=',', "
                "quote='\"', escape='\"', new_line='\\n')",
                {"path": str(path)},
            ).fetchall()
        return [{name: cell or "" for name, cell in zip(columns, row, strict=True)} for row in rows]

    @pytest.fixture
    def six(self) -> dict[str, str | None]:
        return {"f": "Fay", "a": "Ann", "e": None, "b": 'B "Ben" n', "d": "Dan, D.", "c": "Cat"}

    # -- the contract

    def test_header_is_there_and_in_order(self, tmp_path: Path, six: dict[str, str | None]) -> None:
        first, *_ = self.rendered(tmp_path, six).read_text(encoding="utf-8").split("\n")
        assert first == ",".join(f'"{name}"' for name in self.channel().columns)

    def test_empty_audience_is_a_header_only(self, tmp_path: Path) -> None:
        text = self.rendered(tmp_path, {}).read_text(encoding="utf-8")
        assert text == ",".join(f'"{name}"' for name in self.channel().columns) + "\n"

    def test_file_is_named_after_audience_and_night_and_is_private(self, tmp_path: Path) -> None:
        path = self.rendered(tmp_path, {"a": "Ann"})
        assert path.name == f"{self.channel().name}_20260331.csv"
        assert path.stat().st_mode & 0o777 == 0o600

    def test_rows_are_ordered_by_id_and_the_same_bytes_for_every_order_of_decisions(
        self, tmp_path: Path, six: dict[str, str | None]
    ) -> None:
        key = self.channel().columns[0]
        first = self.rendered(tmp_path / "0", six)
        assert [row[key] for row in self.read(first)] == list("abcdef")
        for trial in range(1, 6):
            turned = dict([*list(six.items())[trial:], *list(six.items())[:trial]])
            assert self.rendered(tmp_path / f"{trial}", turned).read_bytes() == first.read_bytes()

    def test_every_field_is_quoted_and_every_row_is_one_line_with_all_cells(
        self, tmp_path: Path, six: dict[str, str | None]
    ) -> None:
        content = self.rendered(tmp_path, six).read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf")
        assert b"\r" not in content
        assert content.endswith(b'"\n')
        field = r'"(?:[^"\n]|"")*"'
        line = re.compile(rf"{field}(?:,{field}){{{len(self.channel().columns) - 1}}}")
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        assert len(lines) == 1 + len(six)
        assert all(line.fullmatch(text) for text in lines)

    def test_missing_texts_are_empty_cells(self, tmp_path: Path) -> None:
        [row] = self.read(self.rendered(tmp_path, {"a": None}))
        assert {row[name] for name in self.free_text} == {""}

    def test_no_free_text_can_be_taken_for_a_formula(self, tmp_path: Path) -> None:
        assert len(INJECTIONS) >= 50
        texts = {f"id{place:04}": text for place, text in enumerate(INJECTIONS)}
        assert all(is_dangerous(text) for text in INJECTIONS)
        rows = self.read(self.rendered(tmp_path, dict(texts)))
        for row, text in zip(rows, texts.values(), strict=True):
            assert {row[name] for name in self.free_text} == {"'" + one_line(text)}
            assert not is_dangerous(row[self.free_text[0]])

    def test_harmless_texts_stay_as_they_are(self, tmp_path: Path) -> None:
        rows = self.read(self.rendered(tmp_path, {f"{place:02}": text for place, text in enumerate(HARMLESS)}))
        assert [row[self.free_text[-1]] for row in rows] == list(HARMLESS)

    @given(texts=hostile_texts)
    @settings(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_hostile_texts_survive_the_round_trip_and_are_harmless(self, texts: list[str]) -> None:
        with TemporaryDirectory() as folder:
            path = self.rendered(Path(folder), {f"{place:03}": text for place, text in enumerate(texts)})
            rows = self.read(path)
            assert rows == self.read_in_duckdb(path)
        assert [row[self.channel().columns[0]] for row in rows] == [f"{place:03}" for place in range(len(texts))]
        for row, text in zip(rows, texts, strict=True):
            for name in self.free_text:
                assert row[name].removeprefix("'" if is_dangerous(text) else "") == one_line(text)
                assert not is_dangerous(row[name])

    def test_ids_leave_byte_for_byte_even_when_they_begin_like_a_formula(self, tmp_path: Path) -> None:
        ids = sorted(["=1", "+4915112345678", "-7", "@x", "Ä 1", 'a"b', "a,b", " a", "\uff41"], key=str.encode)
        rows = self.read(self.rendered(tmp_path, dict.fromkeys(ids, "Ann")))
        assert [row[self.channel().columns[0]] for row in rows] == ids

    @pytest.mark.parametrize("letter", ["\n", "\r", "\t", "\x00", "\x7f", "\x85", "\u2028"])
    def test_an_id_with_a_control_character_stops_the_file_and_is_not_shown(self, tmp_path: Path, letter: str) -> None:
        with pytest.raises(CannotRender, match="control characters in 1 rows") as caught:
            self.rendered(tmp_path, {"secret" + letter: "Ann"})
        assert "secret" not in str(caught.value)
        assert not list((tmp_path / "files").glob("*"))

    def test_without_decisions_it_says_what_to_run(self, tmp_path: Path) -> None:
        with pytest.raises(StageInputMissing, match="Run decide first"):
            self.channel().render(tmp_path, tmp_path / "files", RUN_DATE)

    def test_two_rows_of_one_id_stop_the_file(self, tmp_path: Path) -> None:
        folder = self.put(tmp_path, {"a": "Ann"})
        for path in folder.iterdir():
            table = pl.read_parquet(path)
            write_parquet(pl.concat([table, table]), path)
        with pytest.raises(CannotRender, match="rows repeat"):
            self.channel().render(folder, tmp_path / "files", RUN_DATE)


def item(customer_id: str, rank: int, product_id: str, **fields: object) -> dict[str, object]:
    return {
        "channel": "email_file",
        "customer_id": customer_id,
        "rank": rank,
        "product_id": product_id,
        "product_name": product_id.title(),
        "reason": "Popular in the last 28 days",
        "reason_kind": "popular",
        "reason_about": "28",
        "url": f"https://shop.example/{product_id}",
        "price": Decimal("9.9"),
        "currency": "EUR",
    } | fields


def recipient(customer_id: str, **fields: object) -> dict[str, object]:
    return {
        "channel": "email_file",
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "first_name": customer_id.title(),
        "language": "en",
        "country": "DE",
        "send_not_before": datetime(2026, 4, 1, 6),
        "send_not_after": datetime(2026, 4, 1, 19),
    } | fields


def product(product_id: str, **fields: object) -> dict[str, object]:
    return {
        "product_id": product_id,
        "name": product_id.title(),
        "category": "tea",
        "brand": "Leaf",
        "price": Decimal("9.9"),
        "currency": "EUR",
        "url": f"https://shop.example/{product_id}",
    } | fields


def only(table: str, rows: Sequence[dict[str, object]], channel: str | None = None) -> Iterator[dict[str, object]]:
    """The rows with the columns that the table has, for the channel if one is given."""
    for row in rows:
        yield {name: row.get(name) for name in SCHEMAS[table]} | ({"channel": channel} if channel else {})


def toy_decisions(folder: Path) -> Path:
    """Ann has no history, Ben's list is short, Cléo is a regular with a name and a product that need care.

    They are written to in English, German and French.
    """
    recipients = [
        recipient("ann"),
        recipient("ben", first_name=None, country=None, language="de-AT"),
        recipient(
            "cleo",
            language="fr",
            first_name='Cl"éo',
            choices_applied="not interested: garden > plants; interested: tea",
        ),
    ]
    items = [
        item("ann", 1, "green"),
        item("ann", 2, "mint", price=Decimal("1234.5")),
        item("ben", 1, "green", reason_kind="bought", reason_about="Black"),
        item(
            "cleo",
            1,
            "kettle",
            product_name='=Kettle, 5"',
            price=Decimal("0.125"),
            reason_kind="bought",
            reason_about="Green\ntea",
        ),
        item("cleo", 2, "mint", price=None, currency=None, url=None, image_url="https://shop.example/mint.jpg"),
    ]
    products = [product("mint"), product("green", price=None, brand=None), product("kettle", name='=Kettle, 5"')]
    gone = [
        {"customer_id": "dan", "email": "dan@example.com", "left_since": date(2026, 3, 30), "reason": "no_consent"},
        {
            "customer_id": "cleo",
            "email": "old@example.com",
            "left_since": date(2026, 3, 30),
            "reason": "address_changed",
        },
        {
            "customer_id": "zoe",
            "email": "zoe@example.com",
            "left_since": date(2026, 3, 28),
            "reason": "unknown_customer",
        },
    ]
    removals = [{"channel": "email_file"} | row for row in gone]
    return write_decisions(
        folder,
        sync_email_file__removals=removals,
        sync_crm_file__removals=list(
            only("sync_crm_file__removals", [row for row in removals if row["customer_id"] != "cleo"], "crm_file")
        ),
        sync_email_file__recipients=recipients,
        sync_email_file__items=items,
        sync_crm_file__recipients=list(only("sync_crm_file__recipients", recipients, "crm_file")),
        sync_crm_file__items=list(only("sync_crm_file__items", items, "crm_file")),
        sync_catalogue__products=products,
    )
