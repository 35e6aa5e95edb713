"""Every fault in a shop file is named by field, value and what is allowed."""

from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import toy
import yaml

from recsys.config import Shop, load_shop
from recsys.contracts import CONTRACTS
from recsys.errors import ConfigError
from recsys.reference import fields_of

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def content(tmp_path: Path) -> dict:
    return yaml.safe_load(toy.write_shop(tmp_path).path.read_text())


def message(tmp_path: Path, content: object) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ConfigError) as error:
        load_shop(path)
    assert str(path) in str(error.value)
    return str(error.value)


def put(content: dict, where: str, value: object) -> dict:
    *path, last = where.split(".")
    place = content
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        ("currency", "Euro", ["currency", "'Euro'", "pattern"]),
        ("timezone", "Berlin", ["timezone", "'Berlin'", "Europe/Berlin"]),
        ("shop", "My Shop", ["shop", "'My Shop'", "pattern"]),
        ("shop", None, ["shop", "required"]),
        ("recommend.k", 0, ["recommend.k", "0", "greater than or equal to 1"]),
        ("recommend.k", "ten", ["recommend.k", "'ten'", "integer"]),
        ("recommend.alpha", -1, ["recommend.alpha", "-1", "greater than 0"]),
        ("recommend.factor", 8, ["recommend.factor", "there is no such field"]),
        ("recomend", {}, ["recomend", "there is no such field"]),
        ("ingest.max_bad_share", 2, ["ingest.max_bad_share", "2", "less than or equal to 1"]),
        (
            "tables.custommers",
            {"query": "select 1", "database_env": "DB", "columns": {"a": "b"}},
            ["unknown table custommers", "allowed: consents"],
        ),
        ("tables.products", None, ["required table missing: products"]),
        ("tables.products.columns.colour", "x", ["products.columns", "unknown column colour", "allowed: product_id"]),
        ("tables.products.columns.name", None, ["products.columns", "required column missing: name"]),
        ("tables.products.format", "xlsx", ["tables.products.format", "'xlsx'", "'csv', 'parquet' or 'jsonl'"]),
        ("tables.products.csv", None, ["tables.products", "needs a csv section"]),
        ("tables.products.files", None, ["exactly one of files, same_files_as, query", "given: none"]),
        ("tables.products.query", "select 1", ["given: files, query"]),
        ("tables.products.file_date", "(", ["tables.products", "not a regular expression"]),
        ("tables.products.file_date", "x", ["tables.products", "exactly one group, it has 0"]),
        ("tables.products.csv.header", ["a", "a"], ["tables.products.csv.header", "repeated: a"]),
        ("tables.products.csv.delimiter", "||", ["tables.products.csv.delimiter", "'||'", "1 character"]),
        ("tables.products.fields", ["a"], ["tables.products", "format jsonl, and no other"]),
        ("tables.editorial", {"files": ["x"], "format": "parquet", "delivery": "full", "columns": {}}, ["editorial"]),
        (
            "tables.editorial",
            {"files": ["x"], "format": "parquet", "delivery": "full", "columns": {"starts_on": "a"}},
            ["delivery full needs file_date"],
        ),
        ("tables.order_lines.columns.customer_id", None, []),
        ("channels", [], ["channels", "at least 1"]),
        ("channels.0.kind", "fax", ["channels.0.kind", "'fax'", "allowed: email_file, crm_file, klaviyo"]),
        ("channels.0.slots", 9, ["email_file", "slots is 9", "at most recommend.k = 4"]),
        ("channels.0.min_items", 3, ["email_file", "min_items is 3", "at most slots = 2"]),
        ("channels.0.contact_channel", "sms", ["sms does not go with kind email_file", "allowed: email"]),
        ("channels.0.format", "xml", ["channels.0.format", "'xml'", "allowed: csv, jsonl, parquet"]),
        ("channels.0.identifier", "phone", ["channels.0.identifier", "'phone'", "allowed: email"]),
        ("channels.0.fields", ["email"], ["channels.0", "columns of email_file are fixed"]),
        ("channels.0.moments", ["check_in"], ["channels.0", "recommendations is missing"]),
        ("channels.0.rows", "delta", ["channels.0", "'delta'", "kind email_file has full files only"]),
        ("channels.0.language", "it", ["email_file", "language is 'it'", "en, es, fr"]),
        (
            "channels.0.options",
            {"a": 1},
            ["channels.0.options", "options of email_file: a: no such option; allowed: none"],
        ),
        ("channels.0.deliver", {"to": "sftp://me:secret@x/"}, ["channels.0.deliver", "Put them into the connection"]),
        ("channels.0.deliver", {"to": "somewhere"}, ["channels.0.deliver.to", "'somewhere'", "allowed: a URL"]),
        ("channels.0.deliver", {"to": "api:klaviyo"}, ["'email_file'", "api:klaviyo", "kind klaviyo", "'email_file'"]),
        ("channels.0.name", "x_optout", ["x_optout", "beside an audience"]),
        ("channels.0.contact_channel", "pigeon", ["channels.0.contact_channel", "'pigeon'", "'email'"]),
        ("channels.1.name", "email_file", ["names must differ", "email_file"]),
        ("channels.1.name", "../x", ["channels.1.name", "'../x'", "pattern"]),
        ("path", "/etc", ["path", "not allowed"]),
    ],
)
def test_a_fault_is_named(tmp_path: Path, content: dict, where: str, value: object, expected: list[str]) -> None:
    changed = put(content, where, value)
    if not expected:
        changed = put(changed, "tables.order_lines.columns.visitor_id", None)
        expected = ["order_lines.columns", "at least one of customer_id, visitor_id"]
    text = message(tmp_path, changed)
    for part in expected:
        assert part in text


API = {"name": "tool", "slots": 2, "min_items": 1}


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ({"kind": "braze", "deliver": {"to": "api:braze"}}, ["'api:braze'", "format is 'csv'", "Say format: jsonl"]),
        ({"kind": "klaviyo", "contact_channel": "sms", "deliver": {"to": "api:klaviyo"}}, ["Say format: json"]),
        ({"kind": "klaviyo", "format": "json", "deliver": {"to": "api:braze"}}, ["kind is 'klaviyo'", "to a folder"]),
        ({"kind": "mailchimp", "deliver": {"to": "api:braze"}}, ["takes kind braze with format jsonl", "'mailchimp'"]),
        ({"kind": "braze", "format": "parquet", "deliver": {"to": "api:braze"}}, ["format is 'parquet'"]),
    ],
)
def test_an_api_that_would_take_nothing_of_a_channel_is_a_fault(
    tmp_path: Path, content: dict, channel: dict, expected: list[str]
) -> None:
    text = message(tmp_path, put(content, "channels", [API | channel]))
    for part in ["channels.0", "'tool'", "deliver.to", *expected]:
        assert part in text


@pytest.mark.parametrize(("kind", "form"), [("braze", "jsonl"), ("klaviyo", "json")])
def test_an_api_takes_its_own_tools_files(tmp_path: Path, content: dict, kind: str, form: str) -> None:
    path = tmp_path / "shop.yaml"
    channel = API | {"kind": kind, "format": form, "deliver": {"to": f"api:{kind}", "connection": "tool"}}
    path.write_text(yaml.safe_dump(put(content, "channels", [channel])))
    assert load_shop(path).channels[0].deliver is not None


def test_all_faults_are_told_at_once(tmp_path: Path, content: dict) -> None:
    text = message(tmp_path, put(put(content, "currency", "euro"), "recommend.k", -3))
    assert "2 faults" in text
    assert "currency" in text
    assert "recommend.k" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop: a\nshop: b\n", "'shop' is given twice"),
        ("tables: {products: {}, products: {}}", "'products' is given twice"),
        ("shop: a\n1: 2\n", "field name 1 is not text"),
    ],
)
def test_a_field_given_twice_or_not_named_by_text_is_an_error(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in message(tmp_path, text)


def test_a_file_in_another_encoding_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_bytes("shop: müller".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_shop(tmp_path / "shop.yaml")


@pytest.mark.parametrize("text", ["", "[1, 2]", "shop: [", "a: !!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_shop_file_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    message(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no shop file here"):
        load_shop(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("example", ["demo", "online_retail"])
def test_the_examples_are_valid(example: str) -> None:
    assert load_shop(REPOSITORY / "examples" / example / "shop.yaml").shop == example


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("UTC", date(2026, 3, 31), datetime(2026, 4, 1)),
        ("Europe/Berlin", date(2026, 3, 28), datetime(2026, 3, 28, 23)),  # the clocks change on the 29th
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22)),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23)),
        ("America/New_York", date(2026, 12, 31), datetime(2027, 1, 1, 5)),
        ("Asia/Tokyo", date(2024, 2, 29), datetime(2024, 2, 29, 15)),
        ("America/Havana", date(2026, 3, 7), datetime(2026, 3, 8, 5)),  # midnight does not exist on the 8th
    ],
)
def test_a_night_ends_at_the_brands_midnight(tmp_path: Path, zone: str, day: date, end: datetime) -> None:
    shop = toy.write_shop(tmp_path).model_copy(update={"timezone": zone})
    assert shop.night_end(day) == end


def test_nights_follow_one_another_without_gap_or_overlap(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path).model_copy(update={"timezone": "Australia/Lord_Howe"})
    ends = [shop.night_end(date.fromordinal(day)) for day in range(739_000, 739_800)]
    hours = {(after - before).total_seconds() / 3600 for before, after in pairwise(ends)}
    assert hours == {24.0, 23.5, 24.5}


def test_the_reference_describes_every_field() -> None:
    rows = list(fields_of(Shop))
    assert {"tables.<table>.csv.header", "recommend.weights.view", "channels[].slots", "gate.min_coverage"} <= {
        row.name for row in rows
    }
    assert [row.name for row in rows if not row.description] == []


def test_every_contract_column_is_described_and_every_key_is_a_column() -> None:
    for contract in CONTRACTS.values():
        names = set(contract.column_names)
        assert {*contract.key, *(name for group in contract.any_of for name in group)} <= names
        assert contract.moment is None or contract.moment in names
        assert all(column.description for column in contract.columns)
