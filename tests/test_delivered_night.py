"""What a night tells about its deliveries: the analysts' database, the page, the summary, and the light."""

import io
from pathlib import Path

import duckdb
import polars as pl
import pytest
import report_night
from delivery_faults import Inbox
from rich.console import Console

from recsys import analysts, ledger
from recsys.config import load_shop
from recsys.delivery.audiences import audience_of, channels, setting_of
from recsys.delivery.journal import Journal, Part, State, Step
from recsys.delivery.messages import messages_of
from recsys.delivery.record_errors import ERRORS
from recsys.delivery.redeliver import redeliver, redeliver_night
from recsys.delivery.stage import carrier_of, run
from recsys.errors import DeliveryInDoubt
from recsys.night import Night
from recsys.report import page, summary
from recsys.report.facts import read_facts
from recsys.tables import write_parquet

MAILS = "email_file_20260331.csv"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return report_night.build(report_night.night_of(tmp_path_factory.mktemp("night") / "shop"))


def delivering(template: Night, folder: Path, *, approve: bool = False) -> tuple[Night, Inbox]:
    """The night in a copy of its shop, whose mails now go to a folder."""
    night = report_night.copied(template, folder / "shop")
    inbox = Inbox(folder / "inbox")
    more = ", approve: true" if approve else ""
    text = night.shop.path.read_text()
    told = f"name: email_file, deliver: {{to: 'file://{inbox.folder}'{more}}},"
    night.shop.path.write_text(text.replace("name: email_file,", told))
    return Night(load_shop(night.shop.path), night.run_date), inbox


@pytest.fixture
def night(template: Night, tmp_path: Path) -> Night:
    return delivering(template, tmp_path)[0]


def delivered(night: Night) -> Night:
    for channel in channels(night):
        run(night, channel)
        report_night.stage_file(night, f"deliver.{channel}")
    return night


def doubted(night: Night) -> Night:
    """As after a crash just when the file got its name, and a tool that was quick."""
    audience, setting = audience_of(night, "email_file"), setting_of(night, "email_file")
    journal = Journal.open(night, "email_file", setting.to)
    journal.plan(carrier_of(audience, setting).parts())
    journal.append(MAILS, State.RESERVED, Step.SENDING)
    return night


def rows(night: Night, sql: str) -> list[tuple[object, ...]]:
    analysts.run(night)
    with duckdb.connect(str(night.analysts), read_only=True) as con:
        return con.execute(sql).fetchall()


STATES = "SELECT channel, customer_id, state FROM contact_history ORDER BY channel, customer_id"


def test_every_message_has_the_state_of_its_part(night: Night) -> None:
    files = [("crm_file", "ann", "published"), ("crm_file", "ben", "published")]
    assert rows(night, STATES) == [*files, ("email_file", "ann", "pending"), ("email_file", "ben", "pending")]
    doubted(night)
    assert rows(night, STATES) == [*files, ("email_file", "ann", "reserved"), ("email_file", "ben", "reserved")]
    redeliver(night, "email_file", "delivered", [MAILS])
    assert rows(night, STATES) == [*files, ("email_file", "ann", "acknowledged"), ("email_file", "ben", "acknowledged")]


def test_of_batches_each_message_has_the_state_of_its_own(night: Night) -> None:
    journal = Journal.open(night, "email_file")
    journal.plan([Part(f"{MAILS}#{number}", f"{number}" * 64, 1, 9) for number in (1, 2)])
    journal.append(f"{MAILS}#2", State.ACKNOWLEDGED, Step.CONFIRMED, receipt="job 7")
    told = rows(night, STATES)[2:]
    assert told == [("email_file", "ann", "pending"), ("email_file", "ben", "acknowledged")]
    messages = messages_of(night, "email_file")
    assert messages is not None
    assert messages.entry_of(2, 2).receipt == "job 7"
    assert rows(night, f"SELECT part, rows, state, receipt FROM deliveries WHERE file = '{MAILS}' ORDER BY part") == [
        (f"{MAILS}#1", 1, "pending", ""),
        (f"{MAILS}#2", 1, "acknowledged", "job 7"),
    ]


def test_a_record_that_the_tool_refused_has_failed_although_its_batch_was_taken(night: Night) -> None:
    delivered(night)
    refused = [(night.run_date, "email_file", "ben", MAILS, "invalid_email", "field email")]
    book = ledger.path_of(night, ERRORS, "email_file")
    write_parquet(pl.DataFrame(refused, schema=ERRORS.schema, orient="row"), book)
    assert rows(night, STATES)[2:] == [("email_file", "ann", "acknowledged"), ("email_file", "ben", "failed")]
    told = rows(night, "SELECT customer_id, part, code, detail FROM delivery_errors WHERE channel = 'email_file'")
    assert told == [("ben", MAILS, "invalid_email", "field email")]
    where = "ledger/errors/email_file/2026-03-31.parquet"
    page.run(night)
    assert f"published/{where}" in night.page.read_text()
    [line] = [line for line in summed(night) if line.startswith("refused")]
    assert line.startswith("refused: 1 record of email_file")
    assert line.endswith(where)


def test_what_was_delivered_stays_so_when_the_shop_file_delivers_it_no_more(night: Night) -> None:
    before = rows(delivered(night), STATES)
    text = night.shop.path.read_text()
    start = text.index(" deliver: {to:")
    night.shop.path.write_text(text[:start] + text[text.index("},", start) + 2 :])
    later = Night(load_shop(night.shop.path), night.run_date)
    assert channels(later) == []
    assert rows(later, STATES) == before


@pytest.mark.parametrize("kind", ["klaviyo", "braze"])
def test_files_that_an_api_does_not_take_are_named_for_a_person(template: Night, tmp_path: Path, kind: str) -> None:
    night = report_night.copied(template, tmp_path / "shop")
    form = {"klaviyo": "json", "braze": "jsonl"}[kind]
    moments = "moments: [recommendations, check_in]"
    said = f"name: email_file, kind: {kind}, format: {form}, {moments}, deliver: {{to: 'api:{kind}', connection: x}},"
    text = night.shop.path.read_text()
    night.shop.path.write_text(text.replace("name: email_file, kind: email_file,", said))
    night = Night(load_shop(night.shop.path), night.run_date)
    page.run(night)
    assert f"takes no such file, so a person imports it: <code>{MAILS}</code>" in night.page.read_text()
    lines = [line for line in summed(night) if line.startswith("to import by hand")]
    names = [line.rpartition("/")[2] for line in lines]
    assert names == [MAILS, f"check_in_{MAILS}"]


def summed(night: Night) -> list[str]:
    """The lines of the summary, when its output is no terminal."""
    stream = io.StringIO()
    summary.show(night, Console(file=stream, color_system=None))
    return stream.getvalue().splitlines()


def test_where_rows_do_not_add_up_the_least_counts(night: Night) -> None:
    journal = Journal.open(night, "email_file")
    journal.plan([Part(f"{MAILS}#{number}", f"{number}" * 64, 1, 9) for number in (1, 2, 3)])
    journal.append(f"{MAILS}#2", State.ACKNOWLEDGED, Step.CONFIRMED)
    assert {state for _, _, state in rows(night, STATES)[2:]} == {"pending"}


def test_deliveries_name_part_target_and_receipt(night: Night) -> None:
    delivered(night)
    found = rows(night, "SELECT channel, part, state, target, left(receipt, 6) FROM deliveries ORDER BY channel")
    target = setting_of(night, "email_file").to
    assert found == [
        ("catalogue", None, "published", None, None),
        ("check_in_crm_file", None, "published", None, None),
        ("check_in_email_file", "check_in_email_file_20260331.csv", "acknowledged", target, "sha256"),
        ("crm_file", None, "published", None, None),
        ("email_file", MAILS, "acknowledged", target, "sha256"),
    ]


def test_a_database_of_an_earlier_version_gets_the_new_columns(night: Night) -> None:
    analysts.run(night)
    with duckdb.connect(str(night.analysts)) as con:
        con.execute("ALTER TABLE contact_history DROP COLUMN state")
        for column in ("part", "state", "target", "receipt"):
            con.execute(f"ALTER TABLE deliveries DROP COLUMN {column}")
        con.execute("UPDATE contact_history SET run_date = '2026-03-30'")
        con.execute("UPDATE deliveries SET run_date = '2026-03-30'")
    delivered(night)
    assert rows(night, "SELECT run_date::VARCHAR, state, count(*) FROM contact_history GROUP BY ALL ORDER BY ALL") == [
        ("2026-03-30", None, 4),
        ("2026-03-31", "acknowledged", 2),
        ("2026-03-31", "published", 2),
    ]


def test_a_night_is_green_when_everything_is_delivered(night: Night) -> None:
    facts = read_facts(night)
    assert facts.light == "unfinished"
    assert facts.missing == ("deliver.email_file", "deliver.check_in_email_file")
    assert read_facts(delivered(night)).light == "green"


def test_a_part_in_doubt_makes_the_night_red_until_it_is_settled(night: Night) -> None:
    delivered_check_in = run(night, "check_in_email_file")
    assert delivered_check_in["acknowledged"] == 2
    doubted(night)
    ends = redeliver_night(night)
    assert isinstance(ends["email_file"], DeliveryInDoubt)
    assert ends["check_in_email_file"] is None
    facts = read_facts(night)
    assert facts.light == "red"
    assert f"Nobody knows whether {MAILS} of email_file arrived." in facts.reasons
    page.run(night)
    assert "In doubt" in night.page.read_text()
    assert redeliver_night(night, "email_file", "lost", [MAILS])["email_file"] is None
    assert read_facts(night).light == "green"


def test_the_page_and_the_summary_show_every_part(night: Night) -> None:
    delivered(night)
    page.run(night)
    text = night.page.read_text()
    assert f"Delivered to {setting_of(night, 'email_file').to}" in text
    assert f'<tr><th scope="row">{MAILS}</th><td><span class="ok">Delivered</span>' in text
    stream = io.StringIO()
    summary.show(night, Console(file=stream, width=250, color_system=None))
    [line] = [line for line in stream.getvalue().splitlines() if line.split()[1:2] == [MAILS]]
    assert line.split()[2:4] == ["2", "delivered"]


def test_what_waits_for_approval_is_said(template: Night, tmp_path: Path) -> None:
    night, _ = delivering(template, tmp_path, approve=True)
    facts = read_facts(night)
    assert facts.light == "unfinished"
    assert facts.waits_for_approval == ("email_file", "check_in_email_file")
    assert "email_file waits for a person's approval." in facts.reasons
    page.run(night)
    assert "waits for approval" in night.page.read_text()


def test_what_was_delivered_before_needs_no_stage_of_its_own(night: Night) -> None:
    """As after an erasure that made the night's data again: nothing is delivered, and nothing is missing."""
    for channel in channels(night):
        run(night, channel)
    assert read_facts(night).light == "green"
