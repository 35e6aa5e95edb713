"""What the files of every tool must hold, and the decisions they are tried with.

A kind's tests inherit `ToolContract` and say how a shop file would configure the channel.
"""

import csv
import re
import zlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, ClassVar

import polars as pl
import pytest
from channel_contract import INJECTIONS, RUN_DATE, is_dangerous, item, one_line, recipient, write_decisions
from toy import write_shop

from expectations.subscription import agrees, columns, subscribes
from recsys.channel_settings import Channel
from recsys.channels.kinds import kind_of
from recsys.channels.parts import Limits
from recsys.channels.tool_file import ToolFile
from recsys.channels.wording import Wording
from recsys.config import Shop
from recsys.errors import CannotRender, StageInputMissing
from recsys.list_settings import Reasons
from recsys.vocabulary import Reason

SHOP: list[Shop] = []
AS_GIVEN = Wording(Reasons(templates={"en": {Reason.BOUGHT: "{product}"}}))
"""Says of a purchase the product's name and nothing else, so that what stands in the cell is free text alone."""


def shop() -> Shop:
    """The toy shop, read once."""
    if not SHOP:
        SHOP.append(write_shop(Path(mkdtemp(prefix="toy-shop-"))))
    return SHOP[0]


def tool(**settings: Any) -> ToolFile:
    """The channel `tool` as a shop file would configure it."""
    channel = Channel(**({"name": "tool", "slots": 2, "min_items": 1} | settings))
    made = kind_of(channel.kind).of(channel, shop())
    assert isinstance(made, ToolFile)
    return made


def person(who: str, **fields: object) -> dict[str, object]:
    """A recipient of the channel `tool`, with both addresses."""
    number = f"+4915{zlib.crc32(who.encode()):010}"
    return recipient(who) | {"channel": "tool", "phone": number, "may_personalise": True} | fields


def gone(customer_id: str, **fields: object) -> dict[str, object]:
    """Somebody who left, with both addresses; `put` keeps the one that the channel finds people by."""
    who = person(customer_id)
    return {
        "channel": "tool",
        "customer_id": customer_id,
        "email": who["email"],
        "phone": who["phone"],
        "left_since": date(2026, 3, 30),
        "reason": "no_consent",
    } | fields


def known_after(channel: ToolFile, decisions: Path, day: date = RUN_DATE) -> pl.DataFrame:
    """What the channel's tool knows once it has the files of these decisions."""
    with TemporaryDirectory() as folder:
        channel.render(decisions, Path(folder) / "files", day, rows=Path(folder) / "rows.parquet")
        return pl.read_parquet(Path(folder) / "rows.parquet")


def put(
    folder: Path,
    channel: ToolFile,
    people: Sequence[dict[str, object]],
    items: Sequence[dict[str, object]],
    left: Sequence[dict[str, object]] = (),
    held: Sequence[dict[str, object]] = (),
) -> Path:
    """Decisions for the channel: what it does not carry is null, as SQL leaves it."""
    optional = {"email", "phone", "first_name", "last_name", "country", "timezone", "choices_applied"}
    carried = [{k: v for k, v in row.items() if k not in optional or k in channel.settings.carries} for row in people]
    found_by = {channel.settings.address_kind, "channel", "customer_id", "left_since", "reason"}
    return write_decisions(
        folder,
        sync_tool__recipients=carried,
        sync_tool__items=[{"channel": "tool"} | {k: v for k, v in row.items() if k != "channel"} for row in items],
        sync_tool__removals=[{k: v for k, v in row.items() if k in found_by} for row in left],
        sync_tool__held=list(held),
        sync_catalogue__products=[
            {"product_id": name, "name": name.title(), "category": "tea", "currency": "EUR"}
            for name in sorted({str(row["product_id"]) for row in items})
        ],
    )


def cells(text: str, delimiter: str) -> list[list[str]]:
    """The cells of a delimited file."""
    return list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))


class ToolContract:
    """Every tool's finished files: what the tool may rely on, whatever the audience."""

    settings: ClassVar[dict[str, Any]]

    def made(self, **more: Any) -> ToolFile:
        channel = tool(**(self.settings | more))
        channel.wording = AS_GIVEN
        return channel

    def rendered(self, folder: Path, texts: dict[str, str | None], left: Sequence[dict[str, object]] = ()) -> Path:
        """The folder of the files of people with these free texts, two products each."""
        channel = self.made()
        people = [person(who, first_name=text, choices_applied=text) for who, text in texts.items()]
        items = [
            item(who, rank, f"p{rank}", product_name=text, reason_kind="bought", reason_about=text)
            for who, text in texts.items()
            for rank in (1, 2)
        ]
        decisions = put(folder / "decisions", channel, people, items, left)
        assert channel.render(decisions, folder / "files", RUN_DATE) == len(texts)
        return folder / "files"

    def own(self, files: Path) -> Path:
        return files / self.made().files(RUN_DATE)[0]

    def test_an_empty_audience_has_every_file_and_no_row(self, tmp_path: Path) -> None:
        files = self.rendered(tmp_path, {})
        channel = self.made()
        assert sorted(path.name for path in files.iterdir()) == sorted(channel.files(RUN_DATE))
        for path in files.iterdir():
            if path.suffix in {".csv", ".txt"}:
                lines = path.read_text(encoding="utf-8").split("\n")
                assert len(lines) == 2
                assert lines[1] == ""
            elif path.suffix == ".parquet":
                assert pl.read_parquet(path).height == 0
            else:
                assert path.read_bytes() == b""

    def test_the_header_is_the_columns_and_begins_with_the_identifier(self, tmp_path: Path) -> None:
        path = self.own(self.rendered(tmp_path, {"a": "Ann"}))
        channel = self.made()
        if path.suffix in {".csv", ".txt"}:
            delimiter = "\t" if path.suffix == ".txt" else ","
            header = cells(path.read_text(encoding="utf-8"), delimiter)[0]
            assert header == list(channel.columns)
            assert header[0] == channel.heading(channel.identifier)

    def test_rows_are_ordered_and_the_same_bytes_for_every_order_of_decisions(self, tmp_path: Path) -> None:
        six = {"f": "Fay", "a": "Ann", "e": None, "b": 'B "Ben" n', "d": "Dan, D.\t", "c": "Cat"}
        first = self.rendered(tmp_path / "0", six)
        turned = self.rendered(tmp_path / "1", dict(reversed(six.items())))
        for name in self.made().files(RUN_DATE):
            assert (turned / name).read_bytes() == (first / name).read_bytes()
        found = self.made().read(self.own(first))[self.made().identifier].to_list()
        assert found == [str(person(who)[self.made().identifier]) for who in "abcdef"]

    def test_every_row_is_one_line_with_all_cells_quoted(self, tmp_path: Path) -> None:
        files = self.rendered(tmp_path, {"a": 'A "n" n', "b": None, "c": "x,\ty\r\nz"}, [gone("z")])
        for path in files.iterdir():
            if path.suffix == ".parquet":
                continue
            content = path.read_bytes()
            assert not content.startswith(b"\xef\xbb\xbf")
            assert b"\r" not in content
            assert content.endswith(b"\n") or not content
            if path.suffix in {".csv", ".txt"}:
                field, delimiter = r'"(?:[^"\n]|"")*"', "\t" if path.suffix == ".txt" else ","
                lines = content.decode("utf-8").removesuffix("\n").split("\n")
                width = len(cells(lines[0], delimiter)[0])
                line = re.compile(rf"{field}(?:{delimiter}{field}){{{width - 1}}}")
                assert all(line.fullmatch(text) for text in lines)
            assert path.stat().st_mode & 0o777 == 0o600

    def test_no_free_text_can_be_taken_for_a_formula(self, tmp_path: Path) -> None:
        texts = {f"id{place:04}": text for place, text in enumerate(INJECTIONS)}
        rows = self.made().read(self.own(self.rendered(tmp_path, dict(texts))))
        shown = [name for name in rows.columns if name in {"first_name", "choices_applied"} or name.endswith("_name")]
        for name in [*shown, "rec_1_reason"]:
            assert rows[name].to_list() == ["'" + one_line(text) for text in texts.values()]
            assert not any(is_dangerous(text) for text in rows[name])

    def test_addresses_and_numbers_leave_byte_for_byte(self, tmp_path: Path) -> None:
        channel = self.made()
        given = {"email": "+ann=x@example.com", "phone": "+4915112345678", "customer_id": "=ann"}
        decisions = put(tmp_path / "decisions", channel, [person("=ann", **given)], [item("=ann", 1, "p1")])
        channel.render(decisions, tmp_path / "files", RUN_DATE)
        [found] = channel.read(self.own(tmp_path / "files"))[channel.identifier]
        assert found == given[channel.identifier]

    def test_nothing_in_any_file_subscribes_anybody(self, tmp_path: Path) -> None:
        files = self.rendered(tmp_path, {"a": "Ann", "b": "Ben"}, [gone("z")])
        for path in files.iterdir():
            names, only = columns(path)
            assert not [name for name in names if subscribes(name)], path.name
            assert not [n for n, cell in zip(names, only, strict=True) if cell and agrees(n, cell)], path.name

    @pytest.mark.parametrize("by", ["rows", "bytes"])
    def test_files_are_split_where_the_tool_takes_no_larger_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
    ) -> None:
        if self.made().format in {"json", "parquet"}:
            pytest.skip("a request is limited, and not the file it stands in")
        people = {f"id{place}": "Ann" for place in range(7)}
        path = self.own(self.rendered(tmp_path / "whole", people))
        whole, header = self.made().read(path), path.read_bytes().split(b"\n")[0] if path.suffix != ".jsonl" else b""
        limits = Limits(rows=2) if by == "rows" else Limits(bytes=len(header) + (path.stat().st_size // 3))
        monkeypatch.setattr(type(self.made()), "limits", limits)
        monkeypatch.setattr(type(self.made()), "slice_rows", 3)
        files = self.rendered(tmp_path / "split", people)
        stem, suffix = self.own(files).stem, self.own(files).suffix
        parts = [self.own(files), *(files / f"{stem}_{number}{suffix}" for number in range(2, 9))]
        there = [path for path in parts if path.exists()]
        assert len(there) > 1
        assert pl.concat(self.made().read(path) for path in there).equals(whole)
        assert all(path.stat().st_size <= (limits.bytes or 10**9) for path in there)
        assert all(self.made().read(path).height <= (limits.rows or 10**9) for path in there)

    def test_slices_leave_no_trace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        people = {f"id{place}": "Ann" for place in range(7)}
        whole = self.made().read(self.own(self.rendered(tmp_path / "whole", people)))
        monkeypatch.setattr(type(self.made()), "slice_rows", 2)
        files = self.rendered(tmp_path / "sliced", people)
        assert self.made().read(self.own(files)).equals(whole)
        assert not [path for path in files.iterdir() if path.name.startswith(".")]

    def test_who_left_is_named_and_emptied_in_the_tools_way(self, tmp_path: Path) -> None:
        channel = self.made()
        files = self.rendered(tmp_path, {"a": "Ann"}, [gone("z"), gone("y", reason="paused"), gone("a")])
        stayed_out = sorted(str(person(who)[channel.identifier]) for who in "yz")
        names = {what: files / name for what, name in zip(("", *channel.beside), channel.files(RUN_DATE), strict=False)}
        removed = channel.read(names["remove"])
        assert removed.columns == [channel.identifier]
        assert removed[channel.identifier].to_list() == stayed_out
        cleared = channel.read(names["clear"])
        assert cleared[channel.identifier].to_list() == stayed_out
        assert cleared["items"].to_list() == ["0", "0"]
        rest = cleared.drop(channel.identifier, "items")
        assert rest.null_count().row(0) == (2,) * rest.width

    def test_a_short_list_says_how_short_and_leaves_its_last_slots_empty(self, tmp_path: Path) -> None:
        channel = self.made()
        decisions = put(tmp_path / "decisions", channel, [person("ann")], [item("ann", 1, "p1")])
        channel.render(decisions, tmp_path / "files", RUN_DATE)
        [row] = channel.read(self.own(tmp_path / "files")).rows(named=True)
        assert (row["items"], row["rec_1_id"]) == ("1", "p1")
        assert {value for name, value in row.items() if name.startswith("rec_2_")} == {None}

    def test_the_state_differs_by_every_cell_and_by_no_date(self, tmp_path: Path) -> None:
        channel = self.made()
        plain, items = [person("ann"), person("ben")], [item(who, 1, "p1") for who in ("ann", "ben")]

        def shas(people: list[dict[str, object]], listed: list[dict[str, object]], day: date = RUN_DATE) -> list[str]:
            return known_after(channel, put(tmp_path / "decisions", channel, people, listed), day)["row_sha"].to_list()

        before = shas(plain, items)
        assert shas(plain, items, date(2026, 5, 1)) == before
        assert len(set(before)) == 2
        other = shas(plain, [item("ann", 1, "p1"), item("ben", 1, "p2")])
        assert (other[0], other[1] != before[1]) == (before[0], True)
        if "choices_applied" in channel.settings.carries:
            texts = [shas([person("ann", choices_applied=text)], items[:1]) for text in (None, "", "x")]
            assert texts[0] != texts[2]

    def test_what_is_kept_beside_the_files_is_of_all_people_in_order(self, tmp_path: Path) -> None:
        channel = self.made()
        people, items = [person("ben"), person("ann")], [item(who, 1, "p1") for who in ("ann", "ben")]
        decisions = put(tmp_path / "decisions", channel, people, items)
        assert known_after(channel, decisions)["customer_id"].to_list() == ["ann", "ben"]

    @pytest.mark.parametrize("letter", ["\n", "\t", "\x00"])
    def test_an_identifier_with_a_control_character_stops_the_file(self, tmp_path: Path, letter: str) -> None:
        channel = self.made()
        who = person("ann", email=f"a{letter}@example.com", phone=f"+49{letter}1", customer_id=f"a{letter}")
        decisions = put(tmp_path / "decisions", channel, [who], [])
        with pytest.raises(CannotRender, match="control characters in 1 rows"):
            channel.render(decisions, tmp_path / "files", RUN_DATE)
        assert not list((tmp_path / "files").glob("*"))

    def test_without_decisions_it_says_what_to_run(self, tmp_path: Path) -> None:
        with pytest.raises(StageInputMissing, match="Run decide first"):
            self.made().render(tmp_path, tmp_path / "files", RUN_DATE)

    @pytest.mark.parametrize(
        ("items", "what"),
        [
            ([item("ann", 1, "p1"), item("ann", 3, "p2")], "1 items have a rank outside 1 to 2"),
            ([item("ann", 1, "p1"), item("bob", 1, "p2")], "1 belong to nobody"),
            ([item("ann", 1, "p1"), item("ann", 1, "p2")], "1 rows repeat"),
        ],
    )
    def test_items_that_fit_no_slot_stop_the_file(self, tmp_path: Path, items: list[Any], what: str) -> None:
        channel = self.made()
        with pytest.raises(CannotRender, match=what):
            channel.render(put(tmp_path, channel, [person("ann")], items), tmp_path / "files", RUN_DATE)

    def test_two_people_of_one_identifier_stop_the_file(self, tmp_path: Path) -> None:
        channel = self.made()
        same = {channel.identifier: person("ann")[channel.identifier]}
        people = [person("ann"), person("ben", **same)]
        with pytest.raises(CannotRender, match="rows repeat"):
            channel.render(put(tmp_path, channel, people, []), tmp_path / "files", RUN_DATE)
