"""The doctor: a rehearsal that keeps nothing, sends nothing, and says what is ready and what is missing."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
import toy
from rich.console import Console

from recsys.channel_settings import Channel
from recsys.channels.wording import Wording
from recsys.config import Shop, load_shop
from recsys.doctor.data import _of_table, findings
from recsys.doctor.finding import Finding
from recsys.doctor.prospects import Prospect, _spoken, prospects
from recsys.doctor.rehearsal import Rehearsal, rehearse
from recsys.doctor.show import show
from recsys.errors import ErasureUnfinished
from recsys.files import REHEARSAL
from recsys.night import Night
from recsys.tables import write_parquet


@contextmanager
def rehearsed(shop: Shop) -> Iterator[tuple[Rehearsal, list[Finding], tuple[Prospect, ...]]]:
    night = Night(shop, toy.RUN_DATE)
    with rehearse(night, lambda _: None) as rehearsal:
        yield rehearsal, list(findings(rehearsal)), prospects(night, rehearsal)


@pytest.fixture(scope="module")
def toy_rehearsal(
    dbt_if_thorough: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Shop, list[Finding], tuple[Prospect, ...]]:
    shop = toy.write_shop(tmp_path_factory.mktemp("shop"))
    (shop.root / f"{REHEARSAL}dead" / "raw").mkdir(parents=True)
    with rehearsed(shop) as (rehearsal, found, made):
        assert rehearsal.stopped_at is None
    return shop, found, made


def test_tonights_recipients_are_those_a_night_would_export(
    toy_rehearsal: tuple[Shop, list[Finding], tuple[Prospect, ...]],
) -> None:
    _, _, (email, crm) = toy_rehearsal
    assert (email.channel.name, email.recipients) == ("email_file", 2)
    assert (crm.channel.name, crm.recipients) == ("crm_file", 2)
    assert email.held_back == {"no_consent": 1, "suppressed": 1, "consent_expired": 1, "invalid_address": 1}
    assert "email_file_20260331.csv" in dict(email.files)


def test_what_was_not_delivered_is_named_with_what_it_costs(
    toy_rehearsal: tuple[Shop, list[Finding], tuple[Prospect, ...]],
) -> None:
    _, found, _ = toy_rehearsal
    by_name = {finding.about: finding for finding in found}
    assert by_name["customers"].level == "ready"
    assert by_name["preferences"].level == "missing"
    assert "preference centre" in by_name["preferences"].sentence


def test_columns_that_are_mostly_empty_are_named(
    toy_rehearsal: tuple[Shop, list[Finding], tuple[Prospect, ...]],
) -> None:
    _, _, (email, _) = toy_rehearsal
    assert "email_file: image_url" in {finding.about for finding in email.findings}
    assert "email_file: email" not in {finding.about for finding in email.findings}


def test_nothing_is_kept_not_even_of_a_rehearsal_that_was_killed(
    toy_rehearsal: tuple[Shop, list[Finding], tuple[Prospect, ...]],
) -> None:
    shop, _, _ = toy_rehearsal
    assert sorted(path.name for path in shop.root.rglob("*")) == ["published"]


def test_a_refused_delivery_stops_it_and_is_told(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    orders = tmp_path / "inbox" / toy.RUN_DATE.isoformat() / "order_lines.csv"
    orders.write_text(orders.read_text().replace("order_id", "order_nr", 1))
    with rehearsed(shop) as (rehearsal, found, made):
        assert rehearsal.stopped_at == "ingest"
        assert made == ()
        assert [finding.level for finding in found].count("stops") == 1
        shown = io.StringIO()
        assert not show(Console(file=shown, width=200), found, made)
        assert "order_lines.csv" in shown.getvalue()


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ({"kind": "hubspot"}, ["1 recipients read them in en instead of their own language (nl)."]),
        ({"kind": "hubspot", "language": "de"}, []),
        ({"kind": "hubspot", "language": "en"}, []),
        ({"kind": "google_customer_match"}, []),
        ({"kind": "meta_custom_audiences"}, []),
    ],
)
def test_languages_without_sentences_are_told_where_reasons_are_said_in_them(
    tmp_path: Path, channel: dict[str, str], told: list[str]
) -> None:
    rows = [("tool", who, language) for who, language in (("ann", "nl"), ("ben", "de-AT"), ("cat", "en"))]
    frame = pl.DataFrame(rows, schema=["channel", "customer_id", "language"], orient="row")
    write_parquet(frame, tmp_path / "sync_tool__recipients.parquet")
    found = _spoken(tmp_path, Channel(name="tool", **channel), Wording())
    assert [finding.sentence for finding in found] == told
    assert {finding.level for finding in found} <= {"note"}


def test_bad_rows_are_noted_and_not_missing() -> None:
    entry = {"present": True, "rows": 9, "files": [{"bad_rows": 2}]}
    assert _of_table("products", entry).level == "note"


@pytest.mark.thorough
def test_a_target_without_credentials_stops_its_channel_and_names_the_variable(tmp_path: Path) -> None:
    path = toy.write_shop(tmp_path).path
    text = path.read_text().replace(
        "kind: crm_file,", "kind: crm_file, deliver: {to: 'sftp://x/in', connection: mail},"
    )
    path.write_text(text)
    with rehearsed(load_shop(path)) as (_, _, (email, crm)):
        assert all(finding.level != "stops" for finding in email.findings)
        [stops] = [finding for finding in crm.findings if finding.level == "stops"]
        assert "RECSYS_CONNECTION_MAIL" in stops.sentence


@pytest.mark.thorough
def test_without_consents_everybody_is_held_back_and_it_says_so(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path, consents=[{**row, "channel": "post"} for row in toy.ROWS["consents"]])
    with rehearsed(shop) as (_, _, (email, _)):
        assert email.recipients == 0
        stops = [finding for finding in email.findings if finding.level == "stops"]
        assert "no consent" in stops[0].sentence
        assert "channel email" in stops[0].advice


def test_while_an_erasure_is_unfinished_nothing_is_rehearsed(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    begun = shop.root / "published" / "erasures" / "2026-03-31-abc.unfinished.json"
    begun.parent.mkdir(parents=True)
    begun.write_text("{}")
    with pytest.raises(ErasureUnfinished), rehearsed(shop):
        pass
