"""A second night after a published one, decided by the real models: who left, who is asked, and what the gate says."""

from datetime import datetime, timedelta

import polars as pl
import pytest
import report_night
import toy
from dbt_nights import TOY_LISTS, Built, build

from expectations import check_in, permission, preferences, removals, subscription
from expectations import evidence as evidence_of
from recsys import export, ledger
from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.files import sha256_of
from recsys.night import Night
from recsys.why.story import tell

GREEN = Check(suite="toy", check="good", severity="critical", passed=True)


def said(customer_id: str, topic: str, at: str) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "topic": topic,
        "choice": "interested",
        "occurred_at": datetime.fromisoformat(at),
    }


@pytest.fixture(scope="module")
def second(recorded_dbt: None, toy_night: Built, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The first night was published to Ann and Ben. Since then Ben withdrew, Ann has another address, and Dan's bounce
    is forgotten. Ann and Dan said long ago that they are interested in tea; Dan was asked a month ago, Cat in secret.
    """
    first = report_night.copied(toy_night.night, tmp_path_factory.mktemp("second") / "shop")
    render.run(first)
    paths = [first.recommendations, *first.files.rglob("*.csv"), *first.decisions.glob("*.parquet")]
    paths += first.folder.glob("rows/*.parquet")
    files = {path.relative_to(first.folder).as_posix(): sha256_of(path) for path in paths}
    Verdict(run_date=first.run_date, checks=(GREEN,), files=files).write(first.verdict)
    for channel in export.channels(first):
        export.run(first, channel)
    asked = Night(first.shop, first.run_date - timedelta(days=30))
    entry = ("check_in", "check_in_email_file", "email", "dan", "dan@example.com")
    entries = pl.DataFrame([(asked.run_date, *entry)], schema=ledger.RECIPIENTS.schema, orient="row")
    path = ledger.path_of(asked, ledger.RECIPIENTS, "check_in_email_file")
    path.parent.mkdir(parents=True, exist_ok=True)
    entries.write_parquet(path)

    night = Night(first.shop, first.run_date + timedelta(days=1))
    withdrawn = {
        "customer_id": "ben",
        "channel": "email",
        "purpose": "marketing",
        "status": "withdrawn",
        "occurred_at": datetime(2026, 4, 1, 12),
    }
    toy.write_raw(
        night,
        customers=[
            row | ({"email": "ann@new.example"} if row["customer_id"] == "ann" else {}) for row in toy.ROWS["customers"]
        ],
        consents=[*toy.ROWS["consents"], withdrawn],
        suppressions=[],
        preferences=[
            said("ann", "Tea", "2025-10-01"),
            said("dan", "tea", "2025-10-01"),
            said("eve", "tea", "2025-10-01"),
        ],
    )
    ledger.link(night, ledger.known(night))
    build(night, TOY_LISTS)
    render.run(night)
    return night


def cells(night: Night, folder: str, name: str) -> list[tuple[str, ...]]:
    return pl.read_csv(night.files / folder / f"{name}_{night.run_date:%Y%m%d}.csv", infer_schema=False).rows()


def test_who_left_and_whose_address_changed_is_removed(second: Night) -> None:
    assert cells(second, "email_file", "email_file_remove") == [
        ("ann", "ann@example.com", "2026-03-31", "address_changed"),
        ("ben", "ben@example.com", "2026-03-31", "no_consent"),
    ]
    assert cells(second, "crm_file", "crm_file_remove") == [("ben", "2026-03-31", "no_consent")]
    assert [row[0] for row in cells(second, "email_file", "email_file")] == ["ann", "dan"]


def test_whoever_may_be_written_to_and_was_not_asked_lately_is_asked_once(second: Night) -> None:
    asked = cells(second, "check_in_email_file", "check_in_email_file")
    question = "You told us in October 2025 that you are interested in tea. Is that still so?"
    nothing = ("",) * 6
    hours = ("2026-04-02T00:00:00Z", "2026-04-02T22:00:00Z")
    assert asked == [
        ("ann", "ann@new.example", "Ann", "en", "DE", *hours, "2026-04-01", "tea", "aged", question, *nothing),
    ]
    assert cells(second, "check_in_crm_file", "check_in_crm_file") == []


def test_the_recount_agrees(second: Night) -> None:
    evidence, read = evidence_of.gather(second)
    assert evidence is not None, read
    permissions = permission.gather(second)
    choices = preferences.gather(second, permissions)
    checks = [*check_in.check(evidence, permissions, choices), *subscription.check(second)]
    checks += [check for channel in second.shop.channels for check in removals.check(evidence, channel)]
    assert len(checks) > 60
    assert [check for check in checks if not check.passed] == []


def test_the_story_of_a_customer_tells_both(second: Night) -> None:
    ben, ann = tell(second, "ben", "email_file"), tell(second, "ann", "email_file")
    left = "Left the audience: the file of 2026-03-31 named them, tonight's remove file does: "
    assert f"  {left}no consent." in ben.lines
    assert f"  {left}address has changed." in ann.lines
    asked = "Asked tonight about tea: You told us in October 2025 that you are interested in tea. Is that still so?"
    assert f"  {asked}" in ann.lines
    assert not any("example" in line for line in (*ann.lines, *ben.lines))


def test_the_ledger_remembers_who_was_asked(second: Night) -> None:
    for channel in second.shop.channels:
        ledger.enter_check_in(second, channel, f"check_in_{channel.name}")
    later = Night(second.shop, second.run_date + timedelta(days=1))
    ledger.link(later, ledger.known(later))
    entries = pl.read_parquet(later.raw / "ledger" / "recipients" / "*.parquet").filter(
        pl.col("campaign") == "check_in"
    )
    assert sorted(entries.select("channel", "contact_channel", "customer_id", "address").rows()) == [
        ("check_in_email_file", "email", "ann", "ann@new.example"),
        ("check_in_email_file", "email", "dan", "dan@example.com"),
    ]
