"""Kinds of channels: those of the product, and a company's own through a real entry point."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from channel_contract import RUN_DATE, item
from tool_contract import person, put
from toy import write_shop

from expectations import tool_readers
from recsys.channels import kinds, render
from recsys.channels.base import Kind
from recsys.channels.tool_file import ToolFile
from recsys.config import Shop, load_shop
from recsys.errors import ConfigError
from recsys.reference import kinds_of_channel

OWN = '''
from recsys.channels.tool_file import ToolFile


class Pigeon(ToolFile):
    """A tool that knows people by their ids and wants nothing but the products."""

    kind = "pigeon"
    identifiers = ("customer_id",)
    fields = ("country",)
    own_fields = ("country",)
    slot_parts = ("id",)
    headings = {"customer_id": "Ring", "country": "Loft"}


class Stranger:
    kind = "stranger"
'''
ENTRY_POINTS = """[recsys.channels]
pigeon = own_pigeons:Pigeon
stranger = own_pigeons:Stranger
lost = own_pigeons:Lost
klaviyo = own_pigeons:Pigeon
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a company, as an installer leaves it."""
    site = tmp_path / "site"
    card = site / "own_pigeons-1.0.dist-info"
    card.mkdir(parents=True)
    (site / "own_pigeons.py").write_text(OWN)
    (card / "METADATA").write_text("Metadata-Version: 2.1\nName: own-pigeons\nVersion: 1.0\n")
    (card / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("own_pigeons", None)
    kinds._loaded.cache_clear()


def with_channel(folder: Path, **channel: object) -> Shop:
    shop = write_shop(folder)
    content = yaml.safe_load(shop.path.read_text())
    content["channels"] = [{"name": "tool", "slots": 2, "min_items": 1} | channel]
    shop.path.write_text(yaml.safe_dump(content))
    return load_shop(shop.path)


def test_a_companys_own_kind_renders_through_its_entry_point(installed: Path, tmp_path: Path) -> None:
    shop = with_channel(tmp_path, kind="pigeon")
    assert kinds.names()[-3:] == ("lost", "pigeon", "stranger")
    [audience] = render.audiences(shop)
    assert isinstance(audience, ToolFile)
    decisions = put(tmp_path / "decisions", audience, [person("ann")], [item("ann", 1, "p1")])
    assert audience.render(decisions, tmp_path / "files", RUN_DATE) == 1
    text = (tmp_path / "files" / "tool_20260331.csv").read_text()
    assert text == '"Ring","Loft","rec_items","rec_1_id","rec_2_id"\n"ann","DE","1","p1",""\n'
    assert tool_readers.is_read(shop.channels[0])


def test_a_kind_of_the_product_is_not_replaced(installed: Path) -> None:
    assert kinds.kind_of("klaviyo").__module__ == "recsys.channels.klaviyo"


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("lost", "cannot be loaded"),
        ("stranger", "no subclass of recsys.channels.base.Kind that is called 'stranger'"),
    ],
)
def test_an_entry_point_that_is_no_kind_is_told(installed: Path, tmp_path: Path, kind: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        with_channel(tmp_path, kind=kind)


def test_without_the_package_the_kind_is_not_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"channels\.0\.kind is 'pigeon': no such kind; allowed: email_file"):
        with_channel(tmp_path, kind="pigeon")


@pytest.mark.parametrize("name", kinds.BUILT_IN)
def test_every_kind_of_the_product_is_called_as_its_class_says(name: str) -> None:
    kind = kinds.kind_of(name)
    assert issubclass(kind, Kind)
    assert kind.kind == name
    assert kind.formats
    assert kind.contact_channels


@pytest.mark.parametrize("name", kinds.BUILT_IN)
def test_the_page_speaks_of_the_files_that_a_kind_has_and_of_no_others(tmp_path: Path, name: str) -> None:
    kind = kinds.kind_of(name)
    [audience] = render.audiences(with_channel(tmp_path, kind=name, slots=2))[:1]
    files = " ".join(audience.files(RUN_DATE))
    words = " ".join((*kind.leaving, *kind.steps))
    for what in ("remove", "clear", "optout", "catalogue"):
        has, told = f"_{what}_" in files, f"_{what}_" in words or f"both {what} files" in words
        assert has == told, what
    assert not ("let empty cells overwrite" in words and "overwrites nothing" in words)


@pytest.mark.parametrize(
    ("channel", "what"),
    [
        ({"kind": "klaviyo", "identifier": "phone"}, "identifier is 'phone', which goes with contact_channel sms"),
        ({"kind": "klaviyo", "contact_channel": "post"}, "post does not go with kind klaviyo; allowed: email, sms"),
        ({"kind": "klaviyo", "fields": ["first_name", "first_name"]}, "something is named twice"),
        ({"kind": "klaviyo", "fields": ["shoe_size"]}, r"channels\.0\.fields\.0 is 'shoe_size'"),
        ({"kind": "klaviyo", "rows": "delta", "fields": ["run_date"]}, "run_date in fields changes every row"),
        ({"kind": "braze", "identifier": "email", "fields": ["phone"]}, "a file of Braze has one identifier"),
        ({"kind": "sfmc", "options": {"account_timezone": "Berlin"}}, "'Berlin' is not an IANA time zone name"),
        ({"kind": "sfmc", "options": {"imports_at": "6"}}, "options of sfmc: imports_at"),
        (
            {"kind": "sfmc", "options": {"time_zone": "Europe/Berlin"}},
            "options of sfmc: time_zone: no such option; allowed: account_timezone, imports_at",
        ),
        (
            {"kind": "meta_custom_audiences", "options": {"audience": "tea"}},
            "options of meta_custom_audiences: audience: no such option; allowed: audience_name, keep_accents",
        ),
        ({"kind": "hubspot", "language": "it"}, "language is 'it', allowed: one with sentences"),
    ],
)
def test_settings_that_a_kind_does_not_take_are_told(tmp_path: Path, channel: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        with_channel(tmp_path, **channel)


def test_every_option_of_every_kind_is_in_the_reference_with_what_it_is(installed: Path) -> None:
    point = installed / "own_pigeons-1.0.dist-info" / "entry_points.txt"
    point.write_text("[recsys.channels]\npigeon = own_pigeons:Pigeon\n")
    rows = {row.name: row for row in kinds_of_channel()}
    for name in (*kinds.BUILT_IN, "pigeon"):
        kind = kinds.kind_of(name)
        assert {option for option in rows if option.startswith(f"{name}: options.")} == {
            f"{name}: options.{option}" for option in kind.Options.model_fields
        }
        assert rows[f"{name}: format"].default == kind.formats[0]
        assert rows[f"{name}: fields"].description == f"of {', '.join(kind.fields)}"
    assert rows["sfmc: options.imports_at"].default == "06:00"
    assert all(row.description for row in rows.values())
    assert rows["meta_custom_audiences: options.keep_accents"].default == "True"


def test_what_is_left_out_is_what_the_kind_takes_first(tmp_path: Path) -> None:
    channel = with_channel(tmp_path, kind="klaviyo", contact_channel="sms").channels[0]
    assert (channel.format, channel.identifier, channel.address_kind) == ("csv", "phone", "phone")
    assert channel.carries == ("phone", "first_name", "language", "country", "choices_applied")
    assert not channel.asks
