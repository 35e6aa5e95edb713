"""The files of each tool against the one contract, and what only this tool wants."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from channel_contract import RUN_DATE, item
from tool_contract import ToolContract, gone, person, put, tool

from recsys.channels import requests
from recsys.errors import CannotRender


class TestKlaviyo(ToolContract):
    settings = {"kind": "klaviyo"}  # noqa: RUF012


class TestKlaviyoByPhone(ToolContract):
    settings = {"kind": "klaviyo", "contact_channel": "sms"}  # noqa: RUF012


class TestKlaviyoRequests(ToolContract):
    settings = {"kind": "klaviyo", "format": "json"}  # noqa: RUF012


class TestBraze(ToolContract):
    settings = {"kind": "braze"}  # noqa: RUF012


class TestBrazeIngestion(ToolContract):
    settings = {"kind": "braze", "format": "jsonl"}  # noqa: RUF012


class TestBrazeParquet(ToolContract):
    settings = {"kind": "braze", "format": "parquet", "identifier": "email"}  # noqa: RUF012


class TestSfmc(ToolContract):
    settings = {"kind": "sfmc"}  # noqa: RUF012


class TestSfmcTabs(ToolContract):
    settings = {"kind": "sfmc", "format": "txt", "identifier": "email"}  # noqa: RUF012


class TestMailchimp(ToolContract):
    settings = {"kind": "mailchimp"}  # noqa: RUF012


class TestHubSpot(ToolContract):
    settings = {"kind": "hubspot"}  # noqa: RUF012


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_requests_of_klaviyo_stay_within_the_endpoints_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = tool(kind="klaviyo", format="json")
    names = [f"id{place}" for place in range(9)]
    items = [item(who, 1, "p1") for who in names]
    decisions = put(tmp_path / "decisions", channel, [person(who) for who in names], items)
    monkeypatch.setattr(requests, "MAX_PROFILES", 4)
    channel.render(decisions, tmp_path / "many", RUN_DATE)
    bodies = lines(tmp_path / "many" / "tool_20260331.json")
    profiles = [body["data"]["attributes"]["profiles"]["data"] for body in bodies]
    assert [len(some) for some in profiles] == [4, 4, 1]
    assert {body["data"]["type"] for body in bodies} == {"profile-bulk-import-job"}
    emails = [profile["attributes"]["email"] for some in profiles for profile in some]
    assert emails == [f"{name}@example.com" for name in names]
    monkeypatch.setattr(requests, "MAX_BYTES", 2_500)
    channel.render(decisions, tmp_path / "large", RUN_DATE)
    path = tmp_path / "large" / "tool_20260331.json"
    assert all(len(line) <= 2_500 for line in path.read_bytes().splitlines(keepends=True))
    assert requests.count(path) == len(names)
    assert requests.read(path)["email"].to_list() == emails
    monkeypatch.setattr(requests, "MAX_PROFILE_BYTES", 100)
    with pytest.raises(CannotRender, match="9 profiles are larger than 100 bytes"):
        channel.render(decisions, tmp_path / "huge", RUN_DATE)


def test_requests_of_klaviyo_read_and_written_again_are_the_same_bytes(tmp_path: Path) -> None:
    channel = tool(kind="klaviyo", format="json", fields=["first_name", "last_name", "language", "country", "timezone"])
    people = [person("ann", first_name='Émi"lie', timezone="Europe/Berlin"), person("ben", first_name=None)]
    channel.render(put(tmp_path, channel, people, [item("ann", 1, "p1")]), tmp_path / "files", RUN_DATE)
    path = tmp_path / "files" / "tool_20260331.json"
    assert requests.encoded(requests.read(path)) == path.read_bytes()


def test_null_clears_in_braze_ingestion_and_numbers_are_numbers(tmp_path: Path) -> None:
    channel = tool(kind="braze", format="jsonl")
    decisions = put(tmp_path, channel, [person("ann")], [item("ann", 1, "p1")], [gone("z")])
    channel.render(decisions, tmp_path / "files", RUN_DATE)
    [row] = lines(tmp_path / "files" / "tool_20260331.jsonl")
    assert list(row) == ["EXTERNAL_ID", "PAYLOAD"]
    payload = json.loads(row["PAYLOAD"])
    assert payload["rec_items"] == 1
    assert (payload["rec_1_id"], payload["rec_2_id"]) == ("p1", None)
    [clear] = lines(tmp_path / "files" / "tool_clear_20260331.jsonl")
    emptied = json.loads(clear["PAYLOAD"])
    assert clear["EXTERNAL_ID"] == "z"
    assert emptied == dict.fromkeys(payload) | {"rec_items": 0}
    assert (tmp_path / "files" / "tool_remove_20260331.csv").read_text() == '"external_id"\n"z"\n'


def test_languages_of_braze_have_two_letters(tmp_path: Path) -> None:
    channel = tool(kind="braze", fields=["language"])
    people = [person(name, language=tag) for name, tag in (("a", "de-AT"), ("b", "FR"), ("c", "gsw"), ("d", None))]
    channel.render(put(tmp_path, channel, people, []), tmp_path / "files", RUN_DATE)
    rows = channel.read(tmp_path / "files" / "tool_20260331.csv")
    assert rows["language"].to_list() == ["de", "fr", None, None]


def test_the_catalogue_of_braze_has_each_item_once_and_refuses_ids_it_would_not_take(tmp_path: Path) -> None:
    channel = tool(kind="braze")
    people, items = [person("ann"), person("ben")], [item(who, 1, "p1") for who in ("ann", "ben")]
    channel.render(put(tmp_path / "decisions", channel, people, items), tmp_path / "files", RUN_DATE)
    text = (tmp_path / "files" / "tool_catalogue_20260331.csv").read_text()
    assert text.splitlines()[0].startswith('"id","name"')
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ['"p1"']
    odd = put(tmp_path / "decisions", channel, people[:1], [item("ann", 1, "p 1")])
    with pytest.raises(CannotRender, match="1 product ids have characters"):
        channel.render(odd, tmp_path / "files", RUN_DATE)


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("Europe/Berlin", "06:00", "20260401"),
        ("America/New_York", "06:00", "20260401"),
        ("America/New_York", "21:00", "20260331"),
        ("Pacific/Auckland", "06:00", "20260402"),
        ("Pacific/Auckland", "14:00", "20260401"),
        (None, "00:00", "20260401"),
    ],
)
def test_files_of_marketing_cloud_carry_the_date_of_the_accounts_clock(zone: str | None, at: str, day: str) -> None:
    """The toy shop's night of 31 March ends at midnight UTC: 20:00 in New York, 13:00 of 1 April in Auckland."""
    channel = tool(kind="sfmc", options={"account_timezone": zone, "imports_at": at})
    assert channel.files(RUN_DATE) == (f"tool_{day}.csv", f"tool_remove_{day}.csv", f"tool_clear_{day}.csv")


def test_texts_of_mailchimp_are_cut_at_a_character_and_links_are_whole_or_not_there(tmp_path: Path) -> None:
    channel = tool(kind="mailchimp")
    long = "x" * 254 + "é" + "y"
    listed = [item("ann", 1, "p1", product_name=long, url="https://shop.example/" + "u" * 300)]
    channel.render(put(tmp_path, channel, [person("ann", first_name="é" * 200)], listed), tmp_path / "files", RUN_DATE)
    [row] = channel.read(tmp_path / "files" / "tool_20260331.csv").rows(named=True)
    assert row["rec_1_name"] == "x" * 254
    assert row["first_name"] == "é" * 127
    assert row["rec_1_url"] is None


@pytest.mark.parametrize("slots", [1, 10, 100])
def test_merge_tags_of_mailchimp_have_at_most_ten_characters(slots: int) -> None:
    channel = tool(
        kind="mailchimp", slots=slots, fields=[name for name in tool(kind="mailchimp").fields if name != "email"]
    )
    tags = channel.columns[1:]
    assert max(map(len, tags)) <= 10
    assert len(set(tags)) == len(tags)


def test_mailchimp_refuses_letters_outside_ascii_before_the_at(tmp_path: Path) -> None:
    channel = tool(kind="mailchimp")
    good = put(tmp_path / "good", channel, [person("ann", email="ann@exämple.com")], [])
    channel.render(good, tmp_path / "files", RUN_DATE)
    wrong = put(tmp_path / "wrong", channel, [person("ann", email="änn@example.com")], [])
    with pytest.raises(CannotRender, match="1 addresses have letters outside ASCII"):
        channel.render(wrong, tmp_path / "files", RUN_DATE)


def test_who_said_no_is_opted_out_of_hubspot_and_who_merely_pauses_is_not(tmp_path: Path) -> None:
    channel = tool(kind="hubspot")
    left = [gone("a"), gone("b", reason="suppressed"), gone("c", reason="paused"), gone("d", reason="too_few_items")]
    channel.render(put(tmp_path, channel, [], [], left), tmp_path / "files", RUN_DATE)
    out = pl.read_csv(tmp_path / "files" / "tool_optout_20260331.csv", infer_schema=False)
    assert out.columns == ["Email"]
    assert out["Email"].to_list() == ["a@example.com", "b@example.com"]


def test_sentences_are_in_the_configured_language(tmp_path: Path) -> None:
    channel = tool(kind="klaviyo", language="de")
    channel.render(put(tmp_path, channel, [person("ann")], [item("ann", 1, "p1")]), tmp_path / "files", RUN_DATE)
    [row] = channel.read(tmp_path / "files" / "tool_20260331.csv").rows(named=True)
    assert row["rec_1_reason"] == "Beliebt in den letzten 28 Tagen"


def test_only_chosen_fields_leave(tmp_path: Path) -> None:
    channel = tool(kind="klaviyo", fields=["country", "run_date", "send_not_before"])
    people = [person("ann", last_name="Secret")]
    channel.render(put(tmp_path, channel, people, []), tmp_path / "files", date(2026, 3, 31))
    rows = channel.read(tmp_path / "files" / "tool_20260331.csv").select("country", "run_date", "send_not_before")
    assert rows.row(0) == ("DE", "2026-03-31", "2026-04-01T06:00:00Z")
    assert "Secret" not in (tmp_path / "files" / "tool_20260331.csv").read_text()
