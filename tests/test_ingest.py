"""What is delivered, in whatever order and however often, gives the same raw tables; what is damaged gives none."""

import gzip
import itertools
import json
import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import toy

from recsys.config import Shop, load_shop
from recsys.contracts import CONTRACTS
from recsys.errors import ConfigError, SourceRefused, StateDamaged, TooManyBadRows, Transient
from recsys.files import sha256_of
from recsys.ingest import stage
from recsys.ingest.sources import take
from recsys.night import Night
from recsys.pipeline import record

HEADER = "order_id,customer_id,visitor_id,product_id,quantity,unit_price,ordered_at"
LINE = "o{n},ann,,green,1,9.90,2026-03-0{day} 10:00:00"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    written = toy.write_shop(tmp_path)
    toy.deliver_permissions(written, toy.RUN_DATE + timedelta(days=1))
    return written


@pytest.fixture
def night(shop: Shop) -> Night:
    return Night(shop, toy.RUN_DATE)


def deliver(shop: Shop, text: str | bytes, name: str = "order_lines.csv", day: date = toy.RUN_DATE) -> Path:
    path = shop.folder / "inbox" / day.isoformat() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def raw(night: Night, table: str = "order_lines") -> pl.DataFrame:
    return pl.read_parquet(night.raw / f"{table}.parquet")


def hashes(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def changed(shop: Shop, **tables: dict) -> Shop:
    """The shop with some fields of some tables replaced."""
    sources = dict(shop.tables)
    for name, fields in tables.items():
        sources[name] = type(sources[name])(**(sources[name].model_dump(exclude_unset=True) | fields))
    return shop.model_copy(update={"tables": sources})


def test_the_toy_shop_comes_in_as_its_contracts_say(night: Night) -> None:
    counts = stage.run(night)
    for name in CONTRACTS:
        expected = toy.frame(name)
        if CONTRACTS[name].moment:
            expected = expected.filter(pl.col(CONTRACTS[name].moment) < night.end)
        if name == "suppressions":
            expected = expected.with_columns(pl.col("email").str.strip_chars())
        assert raw(night, name).schema == expected.schema
        assert raw(night, name).equals(expected.sort(expected.columns)), name
    assert counts["order_lines"] == 11
    assert counts["absent"] == "preferences, contacts, engagements, editorial"


def test_running_again_changes_no_byte(night: Night) -> None:
    stage.run(night)
    before, inputs = hashes(night.raw), night.inputs.read_bytes()
    stage.run(night)
    assert hashes(night.raw) == before
    assert night.inputs.read_bytes() == inputs


def test_rows_at_the_nights_end_wait_for_the_next_night(shop: Shop, night: Night) -> None:
    stage.run(night)
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    stage.run(tomorrow)
    assert raw(night).filter(pl.col("order_id") == "o7").is_empty()
    assert raw(tomorrow).filter(pl.col("order_id") == "o7").height == 1


def test_the_same_bytes_under_another_name_count_once(shop: Shop, night: Night) -> None:
    stage.run(night)
    before = raw(night)
    copied = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "order_lines.csv"
    deliver(shop, copied.read_bytes(), day=date(2026, 3, 30))
    stage.run(night)
    assert raw(night).equals(before)


def test_overlapping_files_add_only_what_is_new(shop: Shop, night: Night) -> None:
    first, twice, third = (LINE.format(n=1, day=1), LINE.format(n=2, day=2), LINE.format(n=3, day=3))
    deliver(shop, lines(first, twice, twice), day=date(2026, 3, 30))
    deliver(shop, lines(twice, third), day=toy.RUN_DATE)
    stage.run(night)
    assert raw(night)["order_id"].to_list() == ["o1", "o2", "o2", "o3"]


def test_a_corrected_file_replaces_what_its_predecessor_brought(shop: Shop, night: Night) -> None:
    deliver(shop, lines(LINE.format(n=1, day=1), LINE.format(n=2, day=2)))
    stage.run(night)
    deliver(shop, lines(LINE.format(n=3, day=3)))
    stage.run(night)
    assert raw(night)["order_id"].to_list() == ["o3"]


def test_a_file_that_was_cleared_away_keeps_counting(shop: Shop) -> None:
    yesterday = Night(shop, toy.RUN_DATE)
    stage.run(yesterday)
    shutil.rmtree(shop.folder / "inbox" / toy.RUN_DATE.isoformat())
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    stage.run(tomorrow)
    assert raw(tomorrow).height == 12


def test_files_of_later_days_are_not_read(shop: Shop, night: Night) -> None:
    stage.run(night)
    before = hashes(night.raw)
    deliver(shop, lines(LINE.format(n=9, day=9)), day=toy.RUN_DATE + timedelta(days=1))
    stage.run(night)
    assert hashes(night.raw) == before


def test_a_late_row_lands_on_its_own_date_in_the_night_that_brings_it(shop: Shop, night: Night) -> None:
    stage.run(night)
    deliver(shop, lines(LINE.format(n=9, day=9)), day=toy.RUN_DATE + timedelta(days=1))
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    counts = stage.run(tomorrow)
    late = raw(tomorrow).filter(pl.col("order_id") == "o9")
    assert late["ordered_at"].to_list()[0].date() == date(2026, 3, 9)
    assert counts["new_files"] == 3  # with the day's consents and suppressions


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    """Four files, among them a correction, an overlap and a duplicate, in every order: the same raw tables."""
    days = [date(2026, 3, day) for day in (1, 2, 3)]
    customers = "customer_id,email,updated_at"
    contents = {
        days[0]: (lines(LINE.format(n=1, day=1)), f"{customers}\nann,old@example.com,2026-03-01 00:00:00\n"),
        days[1]: (lines(LINE.format(n=1, day=1), LINE.format(n=2, day=2)), f"{customers}\nben,b@example.com,\n"),
        days[2]: (lines(LINE.format(n=3, day=3)), f"{customers}\nann,new@example.com,2026-03-03 00:00:00\n"),
    }
    seen = set()
    for number, order in enumerate(itertools.permutations(days)):
        shop = toy.write_shop(tmp_path / str(number), customers=[], order_lines=[])
        shutil.rmtree(shop.folder / "inbox")
        columns = {"customer_id": "customer_id", "email": "email", "updated_at": "updated_at"}
        shop = changed(shop, customers={"csv": {"header": customers.split(",")}, "columns": columns})
        without = {name: source for name, source in shop.tables.items() if name not in ("consents", "suppressions")}
        shop = shop.model_copy(update={"tables": without})
        deliver(shop, (tmp_path / "0" / "products.csv").read_bytes() if number else products(), "products.csv", days[0])
        (tmp_path / "0" / "products.csv").write_bytes(products())
        last = None
        for day in order:
            deliver(shop, contents[day][0], day=day)
            deliver(shop, contents[day][1], "customers.csv", day)
            last = Night(shop, toy.RUN_DATE)
            try:
                stage.run(last)
            except SourceRefused:
                pytest.fail("a required table is missing")
        assert last is not None
        seen.add(json.dumps(hashes(last.raw)))
        assert raw(last)["order_id"].to_list() == ["o1", "o2", "o3"]
        assert raw(last, "customers")["email"].to_list() == ["new@example.com", "b@example.com"]
    assert len(seen) == 1


def products() -> bytes:
    header = "product_id,name,category,brand,price,currency,url,image_url,is_active,in_stock,launched_at,replenishable,"
    return f"{header}sensitive\ngreen,Green,,,9.90,EUR,,,true,true,,true,false\n".encode()


def test_full_deliveries_forget_who_is_no_longer_in_them(shop: Shop, night: Night) -> None:
    folder = shop.folder / "inbox" / toy.RUN_DATE.isoformat()
    everybody = (folder / "customers.csv").read_text().splitlines(keepends=True)
    deliver(shop, "".join(everybody[:3]), "customers.csv", toy.RUN_DATE + timedelta(days=1))
    full = changed(shop, customers={"delivery": "full"})
    stage.run(Night(full, toy.RUN_DATE))
    tomorrow = Night(full, toy.RUN_DATE + timedelta(days=1))
    stage.run(tomorrow)
    assert raw(tomorrow, "customers")["customer_id"].to_list() == ["ann", "ben"]
    assert raw(night, "customers").height == 6


def test_a_published_night_keeps_the_inputs_it_had(shop: Shop, night: Night) -> None:
    stage.run(night)
    before = hashes(night.raw)
    (night.audience("email_file")).mkdir(parents=True)
    (night.audience("email_file") / "_SUCCESS").touch()
    deliver(shop, lines(LINE.format(n=3, day=3)))
    stage.run(night)
    assert hashes(night.raw) == before
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    stage.run(tomorrow)
    assert raw(tomorrow)["order_id"].to_list() == ["o3"]


# --- bad rows -------------------------------------------------------------------------------------------------------

BAD_ROWS = {
    "o1,ann,,green,one,9.90,2026-03-01 10:00:00": ("quantity", "not_a_whole_number"),
    "o1,ann,,green,1.5,9.90,2026-03-01 10:00:00": ("quantity", "not_a_whole_number"),
    "o1,ann,,green,,9.90,2026-03-01 10:00:00": ("quantity", "missing_required"),
    "o1,ann,,green,1,n/a,2026-03-01 10:00:00": ("unit_price", "not_a_number"),
    "o1,ann,,green,1,-1,2026-03-01 10:00:00": ("unit_price", "below_minimum"),
    "o1,ann,,green,1,9.90,2026-02-30 10:00:00": ("ordered_at", "not_a_timestamp"),
    "o1,ann,,green,1,9.90,": ("ordered_at", "missing_required"),
    ",ann,,green,1,9.90,2026-03-01 10:00:00": ("order_id", "missing_required"),
    "o1,,,green,1,9.90,2026-03-01 10:00:00": ("customer_id or visitor_id", "missing_required"),
    "o1,ann,,green,1": (None, "too_few_cells"),
    "o1,ann,,green,1,9.90,2026-03-01 10:00:00,more": (None, "too_many_cells"),
    "o1,ann,,green,9999999999,9.90,2026-03-01 10:00:00": ("quantity", "above_maximum"),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_named_by_file_line_column_and_reason(shop: Shop, night: Night, row: str) -> None:
    good = LINE.format(n=2, day=2)
    deliver(shop, lines(good, row, good.replace("o2", "o3")))
    tolerant = changed(shop, order_lines={"max_bad_share": 0.5})
    stage.run(Night(tolerant, toy.RUN_DATE))
    found = raw(night, "quarantine")
    column, reason = BAD_ROWS[row]
    assert found.select("table_name", "file", "line", "column_name", "reason").rows() == [
        ("order_lines", "inbox/2026-03-31/order_lines.csv", 3, column, reason)
    ]
    assert raw(night)["order_id"].to_list() == ["o2", "o3"]
    assert "9.90" not in str(found.to_dict(as_series=False))


def test_lines_are_counted_as_an_editor_counts_them(shop: Shop, night: Night) -> None:
    """Cells with line ends in them, a rejected line and a bad value: every fault still has its own line."""
    rows = [
        '"o1\nsecond line",ann,,green,1,9.90,2026-03-01 10:00:00',  # lines 2 and 3
        "o2,ann,,green,1",  # line 4
        "o3,ann,,green,1,9.90,2026-03-01 10:00:00",  # line 5
        "o4,ann,,green,x,9.90,2026-03-01 10:00:00",  # line 6
        "o5,ann",  # line 7
        "o6,ann,,green,1,n/a,2026-03-01 10:00:00",  # line 8
    ]
    deliver(shop, lines(*rows))
    stage.run(Night(changed(shop, order_lines={"max_bad_share": 1}), toy.RUN_DATE))
    faults = raw(night, "quarantine").sort("line").select("line", "reason").rows()
    assert faults == [
        (2, "wrong_format"),  # an id with a line end in it
        (4, "too_few_cells"),
        (6, "not_a_whole_number"),
        (7, "too_few_cells"),
        (8, "not_a_number"),
    ]
    assert raw(night)["order_id"].to_list() == ["o3"]


def test_a_line_end_inside_a_cell_costs_no_other_row(shop: Shop, night: Night) -> None:
    """A name over two lines and a short line below it: the short line is bad, and nobody else is."""
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "customers.csv"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([rows[0], rows[1].replace(",Ann,", ',"Ann\nMarie",'), "short\n", *rows[2:]]))
    stage.run(Night(changed(shop, customers={"max_bad_share": 0.5}), toy.RUN_DATE))
    assert raw(night, "customers")["customer_id"].to_list() == ["ann", "ben", "cat", "dan", "eve", "fay"]
    assert raw(night, "quarantine").select("line", "reason").rows() == [(4, "too_few_cells")]


def test_the_same_bad_row_has_the_same_hash_wherever_it_stands(shop: Shop, night: Night) -> None:
    bad = "o1,ann,,green,x,9.90,2026-03-01 10:00:00"
    deliver(shop, lines(bad, LINE.format(n=2, day=2), bad, bad.replace("ann", "ben")))
    stage.run(Night(changed(shop, order_lines={"max_bad_share": 1}), toy.RUN_DATE))
    hashes = raw(night, "quarantine").sort("line")["row_hash"].to_list()
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_end_of_consent_that_gets_lost_on_the_way_is_a_bad_row(shop: Shop, night: Night) -> None:
    """Empty means that a consent never ends, so a date that the expression cannot read must not become empty."""
    assert shop.tables["consents"].csv is not None
    columns = shop.tables["consents"].columns | {"valid_until": "try_strptime(valid_until, '%d/%m/%Y')"}
    with pytest.raises(TooManyBadRows, match=r"consents: 2 of 14 .*lost_in_mapping in valid_until x 2"):
        stage.run(Night(changed(shop, consents={"columns": columns}), toy.RUN_DATE))


@pytest.mark.parametrize("address", ["<dan@example.com>", "mailto:dan@example.com", "dan@example.com;ann@example.com"])
def test_a_suppression_that_could_match_nobody_stops_the_night(shop: Shop, night: Night, address: str) -> None:
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "suppressions.csv"
    path.write_text(path.read_text().replace("DAN@example.com ", address))
    with pytest.raises(TooManyBadRows, match=r"suppressions: 1 of 1 .*wrong_format in email"):
        stage.run(night)


def test_a_no_counts_as_soon_as_it_is_known(shop: Shop, night: Night) -> None:
    """A withdrawal and an opt-out dated after the night's end (a wrong clock, local time) are not left for later."""
    inbox = shop.folder / "inbox" / toy.RUN_DATE.isoformat()
    consents = inbox / "consents.csv"
    with consents.open("a") as stream:
        stream.write("ann,email,marketing,withdrawn,2062-01-01 00:00:00,,\nfay,email,marketing,granted,2062-01-01,,\n")
    suppressions = inbox / "suppressions.csv"
    with suppressions.open("a") as stream:
        stream.write("ben,,,email,unsubscribe,2026-04-01 01:30:00\n")
    stage.run(night)
    assert ("ann", "withdrawn") in raw(night, "consents").select("customer_id", "status").rows()
    late = raw(night, "consents").filter(pl.col("occurred_at").dt.year() == 2062)
    assert late["customer_id"].to_list() == ["ann"], "a yes waits for its moment"
    assert raw(night, "suppressions")["customer_id"].to_list() == ["ben", None]


def test_a_no_to_a_topic_counts_as_soon_as_it_is_known_too(tmp_path: Path) -> None:
    said = [
        {"customer_id": who, "topic": "tea", "choice": what, "occurred_at": toy._at("2026-04-01T00:00:00")}
        for who, what in zip(("ann", "ben", "cat"), ("not_interested", "less_like_this", "interested"), strict=True)
    ]
    late = Night(toy.write_shop(tmp_path, preferences=said), toy.RUN_DATE)
    stage.run(late)
    assert raw(late, "preferences")["customer_id"].to_list() == ["ann", "ben"]


def test_an_unsubscribe_counts_as_soon_as_it_is_known_and_a_click_waits(tmp_path: Path) -> None:
    late = toy._at("2062-01-01")
    kinds = ("click", "open", "unsubscribe", "complaint", "bounce")
    reactions = [{"message_id": "m1", "event_type": kind, "occurred_at": late} for kind in kinds]
    night = Night(toy.write_shop(tmp_path, engagements=reactions), toy.RUN_DATE)
    stage.run(night)
    assert sorted(raw(night, "engagements")["event_type"]) == ["bounce", "complaint", "unsubscribe"]


@pytest.mark.parametrize("moment", ["infinity", "1812-01-01", "3026-03-01 10:00:00"])
def test_a_moment_out_of_all_range_is_a_bad_row(shop: Shop, night: Night, moment: str) -> None:
    deliver(shop, lines(f"o1,ann,,green,1,9.90,{moment}"))
    with pytest.raises(TooManyBadRows, match="out_of_range in ordered_at"):
        stage.run(night)


def test_a_newer_row_without_a_version_replaces_the_older_one(shop: Shop, night: Night) -> None:
    """Fay had her address taken out; the shop did not say when."""
    header = "customer_id,email,phone,first_name,last_name,country,language,timezone,birth_year,created_at,updated_at"
    deliver(shop, f"{header}\nann,,,,,,,,,,\n", "customers.csv", toy.RUN_DATE + timedelta(days=1))
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    stage.run(tomorrow)
    assert raw(tomorrow, "customers").filter(pl.col("customer_id") == "ann")["email"].to_list() == [None]


@pytest.mark.parametrize(
    "expression", ["random()::varchar", "current_date::varchar", "uuid()::varchar", "now()::varchar"]
)
def test_an_expression_whose_value_changes_is_refused(shop: Shop, night: Night, expression: str) -> None:
    columns = {name: name for name in HEADER.split(",")} | {"visitor_id": expression}
    with pytest.raises(SourceRefused, match="whose value changes from run to run"):
        stage.run(Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE))


@pytest.mark.parametrize("expression", ["at", "quantity ||", "(quantity", "1; select 2"])
def test_what_is_no_sql_expression_is_named(shop: Shop, night: Night, expression: str) -> None:
    columns = {name: name for name in HEADER.split(",")} | {"visitor_id": expression}
    with pytest.raises(SourceRefused, match=r"columns\.visitor_id: .* is not one SQL expression"):
        stage.run(Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE))


# --- when our own files are damaged ---------------------------------------------------------------------------------


def test_a_damaged_copy_is_noticed_and_taken_anew(shop: Shop, night: Night) -> None:
    stage.run(night)
    expected = raw(night)
    copy = shop.root / "landing" / sha256_of(shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "order_lines.csv")
    copy.write_bytes(copy.read_bytes().replace(b"green", b"greed"))
    shutil.rmtree(shop.root / "landed" / "order_lines")
    with pytest.raises(SourceRefused, match=r"order_lines\.csv: our copy of its bytes is damaged or gone"):
        stage.run(night)
    stage.run(night)
    assert raw(night).equals(expected)


def test_leftovers_of_processes_that_died_are_swept_away(shop: Shop, night: Night) -> None:
    """A torn landed file is made again too: its card knows how long it must be."""
    record(night, "ingest", stage.run)
    expected = raw(night)
    torn = next((shop.root / "landed" / "order_lines").glob("*[0-9a-f].parquet"))
    torn.write_bytes(torn.read_bytes()[:100])
    dead, alive = 2**22 + 1, os.getpid()
    for owner in (dead, alive):
        (torn.parent / f".other.parquet.{owner}.tmp").touch()
    (shop.root / "landing" / ".unpacked.txt").touch()
    record(night, "ingest", stage.run)
    assert raw(night).equals(expected)
    left = {path.name for path in shop.root.rglob(".*")}
    assert left == {f".other.parquet.{alive}.tmp"}


def test_lost_rows_of_a_published_night_are_read_again_from_its_bytes(shop: Shop, night: Night) -> None:
    stage.run(night)
    before = hashes(night.raw)
    night.audience("email_file").mkdir(parents=True)
    (night.audience("email_file") / "_SUCCESS").touch()
    shutil.rmtree(shop.root / "landed")
    stage.run(night)
    assert hashes(night.raw) == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"files": [{}], "taken": []}'])
def test_a_damaged_registry_is_named(shop: Shop, night: Night, content: str) -> None:
    stage.run(night)
    (shop.root / "registry.json").write_text(content)
    with pytest.raises(StateDamaged, match=r"registry\.json"):
        stage.run(night)


# --- when the shop file changes -------------------------------------------------------------------------------------


def test_a_changed_mapping_is_judged_like_a_new_file(shop: Shop, night: Night) -> None:
    stage.run(night)
    columns = {name: name for name in HEADER.split(",")} | {"ordered_at": "try_strptime(ordered_at, '%d.%m.%Y')"}
    tomorrow = Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE + timedelta(days=1))
    with pytest.raises(TooManyBadRows, match="order_lines: 12 of 12 new rows are bad"):
        stage.run(tomorrow)


def test_an_export_that_gains_a_column_leaves_older_files_as_they_were_read(shop: Shop, night: Night) -> None:
    stage.run(night)
    header = [*HEADER.split(","), "coupon"]
    text = "\n".join([",".join(header), LINE.format(n=9, day=9) + ",spring"]) + "\n"
    deliver(shop, text, day=toy.RUN_DATE + timedelta(days=1))
    tomorrow = Night(changed(shop, order_lines={"csv": {"header": header}}), toy.RUN_DATE + timedelta(days=1))
    counts = stage.run(tomorrow)
    assert counts["order_lines"] == 13
    assert set(raw(tomorrow)["order_id"]) == {"o1", "o2", "o3", "o4", "o5", "o6", "o7", "o9"}


def test_files_that_the_globs_no_longer_name_stop_counting(shop: Shop, night: Night) -> None:
    stage.run(night)
    deliver(shop, lines(LINE.format(n=9, day=9)), name="lines_v2.csv")
    moved = changed(shop, order_lines={"files": ["./inbox/**/lines_v?.csv"]})
    stage.run(Night(moved, toy.RUN_DATE))
    assert raw(night)["order_id"].to_list() == ["o9"]


@pytest.mark.parametrize(("bad", "passes"), [(49, True), (50, True), (51, False)])
def test_the_share_of_bad_rows_decides_at_half_a_percent(shop: Shop, night: Night, bad: int, passes: bool) -> None:
    good = [f"o{n},ann,,green,1,9.90,2026-03-01 10:00:00" for n in range(10_000 - bad)]
    deliver(shop, lines(*good, *["o,ann,,green,x,9.90,2026-03-01 10:00:00"] * bad))
    if passes:
        assert stage.run(night)["bad_rows"] == bad
        return
    with pytest.raises(TooManyBadRows, match=r"order_lines: 51 of 10000 new rows are bad \(0\.51%; allowed 0\.50%\)"):
        stage.run(night)
    assert not night.inputs.exists()


def test_one_bad_consent_stops_the_night(shop: Shop, night: Night) -> None:
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "consents.csv"
    path.write_text(path.read_text().replace("granted", "perhaps", 1))
    with pytest.raises(TooManyBadRows, match=r"consents: 1 of 14 .* not_allowed in status x 1 \(first in line 2\)"):
        stage.run(night)


def test_a_suppressed_number_without_a_country_code_stops_the_night_unless_somebody_else_is_named(
    shop: Shop, night: Night
) -> None:
    """Nobody's number is known in that form, so that the row would suppress nobody and nobody would notice."""
    header = "customer_id,email,phone,channel,reason,occurred_at\n"
    rest = ",sms,complaint,2026-02-01\n"
    good = [f",,{phone}{rest}" for phone in ("+49 (0)151 0000019", "0049 151 1", "(+49) 151 1", "(00 49) 151")]
    good += [f"ann,,0151 1{rest}", f",a@x.de,0151 1{rest}", ",dan@example.com,,email,hard_bounce,2026-02-01\n"]
    deliver(shop, header + "".join(good), "suppressions.csv")
    assert stage.run(night)["suppressions"] == 7
    deliver(shop, header + "".join(good) + f",,(0)151 0000019{rest},,0151/19{rest}", "suppressions.csv")
    with pytest.raises(
        TooManyBadRows, match=r"no_country_code in phone x 2 \(first in line 9\): .* put the country code"
    ):
        stage.run(night)
    deliver(shop, header + f",,0151 0000019{rest}", "suppressions.csv")
    columns = {name: name for name in header.strip().split(",")} | {"phone": "'+49' || ltrim(phone, '0')"}
    assert stage.run(Night(changed(shop, suppressions={"columns": columns}), toy.RUN_DATE))["suppressions"] == 1


def test_too_many_bad_rows_are_judged_again_until_the_file_is_corrected(shop: Shop) -> None:
    good = (shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "order_lines.csv").read_text()
    deliver(shop, lines("o1,ann,,green,x,9.90,2026-03-01 10:00:00"))
    for day in (0, 1):
        with pytest.raises(TooManyBadRows):
            stage.run(Night(shop, toy.RUN_DATE + timedelta(days=day)))
    deliver(shop, good)
    stage.run(Night(shop, toy.RUN_DATE + timedelta(days=1)))


def test_the_second_row_of_a_key_in_one_file_is_a_bad_row(shop: Shop, night: Night) -> None:
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "customers.csv"
    content = path.read_text()
    path.write_text(content + content.splitlines(keepends=True)[1])
    stage.run(Night(changed(shop, customers={"max_bad_share": 0.5}), toy.RUN_DATE))
    assert raw(night, "quarantine").select("line", "column_name", "reason").rows() == [
        (8, "customer_id", "duplicate_key")
    ]
    assert raw(night, "customers").height == 6


def test_rows_left_out_on_purpose_are_counted_by_name(shop: Shop, night: Night) -> None:
    kept = changed(shop, order_lines={"skip": {"returns": "try_cast(quantity as integer) < 0"}})
    stage.run(Night(kept, toy.RUN_DATE))
    inputs = json.loads(night.inputs.read_text())
    assert inputs["tables"]["order_lines"]["files"][0]["skipped_rows"] == {"returns": 1}
    assert raw(night).filter(pl.col("quantity") < 0).is_empty()


def test_a_table_can_be_derived_from_another_ones_files(shop: Shop, night: Night) -> None:
    derived = changed(shop)
    products = type(shop.tables["products"])(
        same_files_as="order_lines",
        duplicates="last",
        columns={"product_id": "product_id", "name": "upper(product_id)", "price": "unit_price", "in_stock": "true"},
    )
    derived = derived.model_copy(update={"tables": derived.tables | {"products": products}})
    stage.run(Night(derived, toy.RUN_DATE))
    names = raw(night, "products")["name"].to_list()
    assert names == ["BLACK", "DRILL", "GREEN", "HAMMER", "MINT", "SAW"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-01 10:00:00", "2026-03-01 10:00:00"),
        ("2026-03-01T10:00:00Z", "2026-03-01 10:00:00"),
        ("2026-03-01T10:00:00+02:00", "2026-03-01 08:00:00"),
        ("2026-03-01", "2026-03-01 00:00:00"),
    ],
)
def test_moments_with_an_offset_are_moved_to_utc(shop: Shop, night: Night, written: str, read: str) -> None:
    deliver(shop, lines(f"o1,ann,,green,1,9.90,{written}"))
    stage.run(night)
    assert str(raw(night)["ordered_at"][0]) == read


# --- other formats --------------------------------------------------------------------------------------------------


def test_gzip_parquet_and_json_lines_bring_the_same_rows(shop: Shop, night: Night) -> None:
    stage.run(night)
    expected = raw(night)
    inbox = shop.folder / "inbox" / toy.RUN_DATE.isoformat()
    content = (inbox / "order_lines.csv").read_bytes()
    columns = {name: name for name in HEADER.split(",")}
    (inbox / "order_lines.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    toy.frame("order_lines").write_parquet(inbox / "order_lines.parquet")
    toy.frame("order_lines").cast({"unit_price": pl.Float64}).with_columns(
        pl.col("ordered_at").dt.to_string("%Y-%m-%dT%H:%M:%SZ")
    ).write_ndjson(inbox / "order_lines.jsonl")
    base = {"file_date": shop.tables["order_lines"].file_date, "columns": columns}
    fields = list(columns)
    variants = [
        {"files": ["inbox/*/order_lines.csv.gz"], "csv": {"header": HEADER.split(",")}},
        {"files": ["inbox/*/order_lines.parquet"], "format": "parquet"},
        {"files": ["inbox/*/order_lines.jsonl"], "format": "jsonl", "fields": fields},
    ]
    for number, variant in enumerate(variants):
        source = type(shop.tables["order_lines"])(**base, **variant)
        other = shop.model_copy(
            update={"tables": shop.tables | {"order_lines": source}, "data_root": f"data{number}"},
        )
        stage.run(Night(other, toy.RUN_DATE))
        assert raw(Night(other, toy.RUN_DATE)).equals(expected), variant["files"]


def test_broken_json_lines_are_bad_rows_and_lists_arrive_as_lists(shop: Shop, night: Night) -> None:
    text = '{"id": "green", "tags": ["tea", "hot drink"]}\n{"id": \n[1]\n\n{"id": "black", "tags": null}\n'
    deliver(shop, text, "products.jsonl")
    source = type(shop.tables["products"])(
        files=["inbox/*/products.jsonl"],
        format="jsonl",
        fields=["id", "tags"],
        columns={"product_id": "id", "name": "upper(id)", "tags": "tags"},
        max_bad_share=0.5,
    )
    other = shop.model_copy(update={"tables": shop.tables | {"products": source}})
    stage.run(Night(other, toy.RUN_DATE))
    assert raw(night, "products").select("product_id", "tags").rows() == [
        ("black", None),
        ("green", ["tea", "hot drink"]),
    ]
    assert raw(night, "quarantine").select("line", "reason").rows() == [(2, "not_json"), (3, "not_json")]


# --- files that are refused -----------------------------------------------------------------------------------------

GOOD = lines(LINE.format(n=1, day=1), LINE.format(n=2, day=2)).encode()
PACKED = gzip.compress(GOOD * 50, mtime=0)
TORTURE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "blank line only": (b"\n", "the header differs"),
    "no header": (GOOD.split(b"\n", 1)[1], "the header differs"),
    "column renamed": (GOOD.replace(b"quantity", b"pieces", 1), "missing: quantity; not expected: pieces"),
    "column added": (GOOD.replace(b"ordered_at", b"ordered_at,extra", 1), "not expected: extra"),
    "column removed": (GOOD.replace(b",unit_price", b"", 1), "missing: unit_price"),
    "columns swapped": (GOOD.replace(b"order_id,customer_id", b"customer_id,order_id", 1), "another order"),
    "header in capitals": (GOOD.replace(b"quantity", b"Quantity", 1), "not expected: Quantity"),
    "header with a blank": (GOOD.replace(b"quantity", b" quantity", 1), "the header differs"),
    "header twice the column": (GOOD.replace(b"visitor_id", b"customer_id", 1), "missing: visitor_id"),
    "semicolons": (GOOD.replace(b",", b";"), "the header differs"),
    "tabs": (GOOD.replace(b",", b"\t"), "the header differs"),
    "utf-16 little": (GOOD.decode().encode("utf-16"), "the file is UTF-16"),
    "utf-16 big": (b"\xfe\xff" + GOOD.decode().encode("utf-16-be"), "the file is UTF-16"),
    "utf-32": (GOOD.decode().encode("utf-32"), "the file is UTF-32"),
    "latin-1": (GOOD.replace(b"ann", b"m\xfcller", 1), "bytes that are not utf-8"),
    "half a character at the end": (GOOD[:-1] + "é".encode()[:1], "bytes that are not utf-8"),
    "overlong utf-8": (GOOD.replace(b"ann", b"\xc0\xaf", 1), "bytes that are not utf-8"),
    "surrogate": (GOOD.replace(b"ann", b"\xed\xa0\x80", 1), "bytes that are not utf-8"),
    "NUL in a cell": (GOOD.replace(b"ann", b"a\x00n", 1), "NUL character in line 2"),
    "NUL in the header": (GOOD.replace(b"order_id", b"order\x00id", 1), "NUL character in line 1"),
    "NULs at the end": (GOOD + b"\x00" * 512, "NUL character in line 4"),
    "only NULs": (b"\x00" * 100, "NUL character in line 1"),
    "cut in the middle of a cell": (GOOD[:-10], "no line end"),
    "cut after a comma": (GOOD[: GOOD.rindex(b",") + 1], "no line end"),
    "cut inside the header": (GOOD[:30], "the header differs"),
    "quote that never closes": (GOOD.replace(b"o2,ann", b'"o2,ann', 1), "cannot be read"),
    "quote opened and cut": (GOOD.replace(b"o1,ann", b'"o1,ann', 1), "cannot be read"),
    "text after a closed quote": (GOOD.replace(b"o1,ann", b'"o1"x,ann', 1), "cannot be read"),
    "mixed line ends": (GOOD.replace(b"\n", b"\r\n", 2), "cannot be read"),
    "only carriage returns": (GOOD.replace(b"\n", b"\r"), "the header differs"),
    "html error page": (b"<html><body>503 Service Unavailable</body></html>\n", "the header differs"),
    "json": (b'{"order_id": "o1"}\n', "the header differs"),
    "a zip archive": (b"PK\x03\x04" + bytes(range(1, 200)), "not utf-8|the header differs"),
    "a parquet file": (b"PAR1" + b"\x15\x04" * 40 + b"PAR1", "the header differs"),
    "a cell over a megabyte": (GOOD.replace(b"ann", b"a" * 3_000_000, 1), "cannot be read"),
    "gzip cut off": (gzip.compress(GOOD * 50, mtime=0)[:-20], "truncated or corrupt"),
    "gzip with a flipped bit": (
        PACKED[:40] + bytes([PACKED[40] ^ 16]) + PACKED[41:],
        "truncated or corrupt|not utf-8|the header|cannot be read|NUL|no line end",
    ),
    "gzip with a wrong checksum": (
        PACKED[:-8] + b"\x00\x00\x00\x00" + PACKED[-4:],
        "truncated or corrupt",
    ),
    "gzip magic alone": (b"\x1f\x8b", "truncated or corrupt"),
    "gzip followed by rubbish": (gzip.compress(GOOD, mtime=0) + b"rubbish", "truncated or corrupt"),
}
ACCEPTED: dict[str, bytes] = {
    "as it should be": GOOD,
    "with a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "windows line ends": GOOD.replace(b"\n", b"\r\n"),
    "gzip": gzip.compress(GOOD, mtime=0),
    "gzip in two members": gzip.compress(GOOD[:50], mtime=0) + gzip.compress(GOOD[50:], mtime=0),
    "quoted header": GOOD.replace(b"order_id", b'"order_id"', 1),
    "every cell quoted": b"\n".join(
        b",".join(b'"' + cell + b'"' for cell in row.split(b",")) for row in GOOD.strip().split(b"\n")
    )
    + b"\n",
    "cells padded with blanks": GOOD.replace(b",green,", b", green ,"),
}


@pytest.mark.parametrize("name", TORTURE)
def test_a_damaged_file_is_refused_whole(shop: Shop, night: Night, name: str) -> None:
    content, message = TORTURE[name]
    deliver(shop, content)
    with pytest.raises(SourceRefused) as refusal:
        stage.run(night)
    text = str(refusal.value)
    assert any(part in text for part in message.split("|")), text
    assert "inbox/2026-03-31/order_lines.csv" in text
    assert "nothing was loaded" in text
    assert not night.inputs.exists()
    assert not (shop.root / "registry.json").exists()
    assert "9.90" not in text, "a message quotes a row"


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_unusual_file_that_is_whole_is_read(shop: Shop, night: Night, name: str) -> None:
    deliver(shop, ACCEPTED[name])
    stage.run(night)
    assert raw(night).select("order_id", "product_id").rows() == [("o1", "green"), ("o2", "green")]
    assert raw(night, "quarantine").is_empty()


JSON_LINES = {
    "cut off": ('{"id": "green"}\n{"id": "bl', "the file is cut off"),
    "a field renamed": ('{"id": "green"}\n{"ID": "black"}\n', "fields that the shop file does not name: ID"),
    "mixed line ends": ('{"id": "green"}\r\n{"id": "black"}\n', None),
    "a control character": ('{"id": "secret"}\n{"id": "bl\x1fack"}\n', "the lines cannot be read"),
    "no line end after a whole object": ('{"id": "green"}\n{"id": "black"}', None),
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_damaged_json_lines_are_refused_whole(shop: Shop, night: Night, name: str) -> None:
    content, message = JSON_LINES[name]
    deliver(shop, content, "products.jsonl")
    columns = {"product_id": "id", "name": "id"}
    source = type(shop.tables["products"])(
        files=["inbox/*/products.jsonl"], format="jsonl", fields=["id"], columns=columns
    )
    other = Night(shop.model_copy(update={"tables": shop.tables | {"products": source}}), toy.RUN_DATE)
    try:
        stage.run(other)
    except SourceRefused as refusal:
        text = str(refusal)
        assert message or "the lines cannot be read" in text
        assert (message or "") in text
        assert "inbox/2026-03-31/products.jsonl" in text
        assert "secret" not in text
    else:
        assert message is None
        assert raw(night, "products").height == 2


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(TORTURE) + len(ACCEPTED) + len(BAD_ROWS) + len(JSON_LINES) >= 60


def test_latin_1_is_read_where_the_shop_file_says_so(shop: Shop, night: Night) -> None:
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "customers.csv"
    path.write_bytes(path.read_bytes().replace(b"Ann", "Zoë".encode("latin-1")))
    header = list(shop.tables["customers"].csv.header)  # type: ignore[union-attr]
    stage.run(Night(changed(shop, customers={"csv": {"header": header, "encoding": "latin-1"}}), toy.RUN_DATE))
    assert raw(night, "customers")["first_name"][0] == "Zoë"


def test_every_refused_file_is_named_at_once(shop: Shop, night: Night) -> None:
    deliver(shop, b"")
    deliver(shop, b"\x00", "consents.csv")
    with pytest.raises(SourceRefused, match=r"(?s)2 source\(s\) refused.*order_lines\.csv.*consents\.csv"):
        stage.run(night)


def test_a_missing_required_table_is_named_with_its_files(shop: Shop, night: Night) -> None:
    (shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "products.csv").unlink()
    with pytest.raises(SourceRefused, match=r"products: required, but nothing was delivered .*inbox/\*/products\.csv"):
        stage.run(night)


def test_a_name_that_promises_gzip_must_hold_it(shop: Shop, night: Night) -> None:
    deliver(shop, GOOD, "order_lines.csv.gz")
    packed = changed(shop, order_lines={"files": ["inbox/*/order_lines.csv.gz"]})
    with pytest.raises(SourceRefused, match="the content is not gzip"):
        stage.run(Night(packed, toy.RUN_DATE))


def test_a_sidecar_checksum_must_agree(shop: Shop, night: Night) -> None:
    path = deliver(shop, GOOD)
    sidecar = path.with_name(path.name + ".sha256")
    sidecar.write_text(f"{sha256_of(path)}  order_lines.csv\n")
    stage.run(night)
    deliver(shop, GOOD + GOOD.split(b"\n", 1)[1])
    with pytest.raises(SourceRefused, match=r"does not have the checksum|do not have the checksum"):
        stage.run(night)


def test_a_file_that_is_still_being_written_is_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.csv"
    path.write_bytes(b"first half")

    def hash_then_grow(target: Path) -> str:
        found = sha256_of(target)
        path.write_bytes(b"first half and second half")
        return found

    monkeypatch.setattr("recsys.ingest.sources.sha256_of", hash_then_grow)
    with pytest.raises(Transient, match="still being delivered"):
        take(path, "growing.csv", tmp_path / "landing")
    assert list((tmp_path / "landing").iterdir()) == []


def test_an_expression_that_does_not_fit_the_file_names_its_columns(shop: Shop, night: Night) -> None:
    columns = {name: name for name in HEADER.split(",")} | {"quantity": "pieces"}
    with pytest.raises(SourceRefused, match=r'"pieces" not found.*The file has: order_id, customer_id'):
        stage.run(Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE))


def test_an_expression_that_fails_is_named_without_the_value(shop: Shop, night: Night) -> None:
    deliver(shop, lines("o1,ann,,green,secret-value,9.90,2026-03-01 10:00:00"))
    columns = {name: name for name in HEADER.split(",")} | {"quantity": "cast(quantity as integer)"}
    with pytest.raises(
        SourceRefused, match=r"columns\.quantity = .*cast\(quantity as integer\).*Use try_cast"
    ) as error:
        stage.run(Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE))
    assert "secret-value" not in str(error.value)


@pytest.mark.parametrize(
    "expression",
    ["quantity); drop table source; --", "(select content from read_text('/etc/passwd'))", "getenv('HOME')"],
)
def test_an_expression_cannot_leave_its_file(shop: Shop, night: Night, expression: str) -> None:
    columns = {name: name for name in HEADER.split(",")} | {"visitor_id": expression}
    with pytest.raises(SourceRefused):
        stage.run(Night(changed(shop, order_lines={"columns": columns}), toy.RUN_DATE))


def test_files_outside_the_sandbox_and_links_are_refused(shop: Shop, night: Night, tmp_path: Path) -> None:
    inbox = shop.folder / "inbox" / toy.RUN_DATE.isoformat()
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere.csv"
    elsewhere.write_bytes(GOOD)
    with pytest.raises(ConfigError, match="outside"):
        stage.run(Night(changed(shop, order_lines={"files": [str(elsewhere)]}), toy.RUN_DATE))
    (inbox / "order_lines.csv").unlink()
    (inbox / "order_lines.csv").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="is a link"):
        stage.run(night)


def test_everything_landed_is_private(shop: Shop, night: Night) -> None:
    stage.run(night)
    for path in shop.root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_landing_keeps_the_bytes_as_delivered(shop: Shop, night: Night) -> None:
    stage.run(night)
    inbox = shop.folder / "inbox" / toy.RUN_DATE.isoformat()
    landed = {path.name: path.read_bytes() for path in (shop.root / "landing").iterdir()}
    assert landed == {sha256_of(path): path.read_bytes() for path in inbox.iterdir()}


def test_a_shop_file_with_a_change_reads_the_same_bytes_anew(shop: Shop, night: Night) -> None:
    stage.run(night)
    text = shop.path.read_text().replace("product_id: product_id, quantity", "product_id: upper(product_id), quantity")
    shop.path.write_text(text)
    stage.run(Night(load_shop(shop.path), toy.RUN_DATE))
    assert set(raw(night)["product_id"]) == {"GREEN", "BLACK", "MINT", "HAMMER", "SAW", "DRILL"}
