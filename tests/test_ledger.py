"""The ledger: what may have left is on record, and later nights count with it."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml
from test_export import GREEN, judge, ready
from toy import RUN_DATE, write_shop

from recsys import export, ledger
from recsys.channels import render
from recsys.channels.base import read_decisions
from recsys.config import Shop, load_shop
from recsys.delivery.journal import Journal, Part, State, Step
from recsys.errors import AlreadyPublished, NotAudited, StageInputMissing
from recsys.night import Night
from recsys.tables import write_parquet


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return write_shop(tmp_path)


def exported(shop: Shop, run_date: date) -> Night:
    night = ready(shop, run_date)
    for channel in export.channels(night):
        export.run(night, channel)
    return night


def linked(night: Night, book: ledger.Book) -> pl.DataFrame:
    ledger.link(night, ledger.known(night))
    return pl.read_parquet(night.raw / "ledger" / book.name / "*.parquet").sort("run_date", "channel", "customer_id")


def test_the_ledger_says_who_was_meant_to_get_what(shop: Shop) -> None:
    night = exported(shop, RUN_DATE)
    recipients = pl.read_parquet(ledger.path_of(night, ledger.RECIPIENTS, "email_file"))
    items = pl.read_parquet(ledger.path_of(night, ledger.ITEMS, "email_file"))
    cells = pl.read_csv(night.audience("email_file") / "email_file_20260331.csv", infer_schema=False)
    assert recipients.select("customer_id", "address").rows() == cells.select("customer_id", "email").rows()
    assert recipients["run_date"].unique().to_list() == [RUN_DATE]
    assert items.filter(pl.col("rank") == 1)["product_id"].to_list() == cells["rec_1_id"].to_list()
    assert pl.read_parquet(ledger.path_of(night, ledger.RECIPIENTS, "crm_file"))["address"].null_count() > 0


def test_the_catalogue_has_no_entries(shop: Shop) -> None:
    night = exported(shop, RUN_DATE)
    assert sorted(path.name for path in (night.ledger / "recipients").iterdir()) == [
        *("check_in_crm_file", "check_in_email_file", "crm_file", "email_file")
    ]


def test_later_nights_count_with_it_and_earlier_nights_do_not(shop: Shop) -> None:
    exported(shop, RUN_DATE)
    assert set(linked(Night(shop, RUN_DATE + timedelta(days=1)), ledger.RECIPIENTS)["run_date"]) == {RUN_DATE}
    assert linked(Night(shop, RUN_DATE), ledger.RECIPIENTS).is_empty()
    assert linked(Night(shop, RUN_DATE + timedelta(days=30)), ledger.ITEMS).height > 0
    assert linked(Night(shop, RUN_DATE + timedelta(days=31)), ledger.ITEMS).is_empty()
    assert linked(Night(shop, RUN_DATE + timedelta(days=91)), ledger.RECIPIENTS).is_empty()


def test_the_entries_are_there_before_the_files_have_their_names(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    night = ready(shop)

    def dies(*_: object, **__: object) -> None:
        assert ledger.path_of(night, ledger.RECIPIENTS, "email_file").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "publish", dies)
    with pytest.raises(KeyboardInterrupt):
        export.run(night, "email_file")
    assert set(linked(Night(shop, RUN_DATE + timedelta(days=1)), ledger.RECIPIENTS)["channel"]) == {"email_file"}


def test_without_a_green_verdict_nothing_is_entered(shop: Shop) -> None:
    night = ready(shop)
    night.verdict.unlink()
    with pytest.raises(NotAudited):
        export.run(night, "email_file")
    assert not night.ledger.exists()


def test_a_published_night_keeps_its_entries(shop: Shop) -> None:
    night = exported(shop, RUN_DATE)
    path = ledger.path_of(night, ledger.RECIPIENTS, "email_file")
    before = path.read_bytes()
    table = "sync_email_file__recipients"
    write_parquet(read_decisions(night.decisions, table).head(1), night.decisions / f"{table}.parquet")
    items = read_decisions(night.decisions, "sync_email_file__items")
    kept = read_decisions(night.decisions, table)["customer_id"].implode()
    write_parquet(items.filter(pl.col("customer_id").is_in(kept)), night.decisions / "sync_email_file__items.parquet")
    render.run(night)
    judge(night, GREEN)
    with pytest.raises(AlreadyPublished):
        export.run(night, "email_file")
    assert path.read_bytes() == before


def test_a_night_refuses_entries_that_changed_since_it_counted_with_them(shop: Shop) -> None:
    earlier = exported(shop, RUN_DATE)
    night = Night(shop, RUN_DATE + timedelta(days=1))
    entries = ledger.known(night)
    path = ledger.path_of(earlier, ledger.RECIPIENTS, "email_file")
    write_parquet(pl.read_parquet(path).head(1), path)
    with pytest.raises(StageInputMissing, match="changed since"):
        ledger.link(night, entries)
    path.unlink()
    with pytest.raises(StageInputMissing, match="gone"):
        ledger.link(night, entries)


def test_a_night_that_is_to_be_delivered_counts_as_delivered_once_every_part_is_acknowledged(tmp_path: Path) -> None:
    shop = write_shop(tmp_path)
    content = yaml.safe_load(shop.path.read_text())
    content["channels"][0]["deliver"] = {"to": "file:///srv/import"}
    shop.path.write_text(yaml.safe_dump(content))
    shop = load_shop(shop.path)
    exported(shop, RUN_DATE)
    later = Night(shop, RUN_DATE + timedelta(days=1))

    def delivered() -> dict[str, bool]:
        return {entry["file"].split("/")[0]: entry["is_delivered"] for entry in ledger.known(later)["recipients"]}

    assert delivered() == {
        "crm_file": True,
        "email_file": False,
        "check_in_crm_file": True,
        "check_in_email_file": True,
    }
    journal = Journal.open(Night(shop, RUN_DATE), "email_file", "file:///srv/import")
    journal.plan([Part(name, name * 64, 1, 1) for name in "ab"])
    for part, state, step, expected in PARTS:
        journal.append(part, state, step)
        assert delivered()["email_file"] is expected
    ledger.link(later, ledger.known(later))
    nights = pl.read_parquet(later.raw / "past_nights.parquet")
    assert nights.filter(pl.col("channel") == "email_file").select("is_published", "is_delivered").row(0) == (
        True,
        True,
    )


PARTS = [
    ("a", State.RESERVED, Step.SENDING, False),
    ("a", State.ACKNOWLEDGED, Step.CONFIRMED, False),
    ("b", State.EXPORTED, Step.SENT, False),
    ("b", State.ACKNOWLEDGED, Step.CONFIRMED, True),
]


def test_inputs_of_an_earlier_version_count_what_was_published_as_delivered(shop: Shop) -> None:
    exported(shop, RUN_DATE)
    night = Night(shop, RUN_DATE + timedelta(days=1))
    entries = ledger.known(night)
    for entry in entries["recipients"]:
        del entry["is_delivered"]
    ledger.link(night, {name: found for name, found in entries.items() if name != "rows"})
    nights = pl.read_parquet(night.raw / "past_nights.parquet")
    assert nights["is_delivered"].to_list() == nights["is_published"].to_list()
    assert pl.read_parquet(night.raw / "ledger" / "rows" / "*.parquet").is_empty()
