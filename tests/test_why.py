"""The story of one customer: golden stories of the toy shop's six people, and nights that went otherwise.

The goldens below `golden/` are what `recsys why` prints; read them to see whether a marketer would understand.
"""

import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
import report_night
import toy
from dbt_nights import Built

from recsys import export
from recsys.addresses import NORMAL_FORMS
from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.channels.crm_file import CrmFile
from recsys.config import load_shop
from recsys.contracts import CONTRACTS
from recsys.delivery import stage as deliver
from recsys.delivery.record_errors import ERRORS, path_of
from recsys.errors import ConfigError, NotKnown
from recsys.files import sha256_of
from recsys.night import Night
from recsys.tables import write_parquet
from recsys.why.delivery import products_in
from recsys.why.permission import SUPPRESSION_WORDS
from recsys.why.story import Story, night_asked, tell

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY / "tests" / "golden"
GREEN = Check(suite="permissions", check="nobody is mailed who said no", severity="critical", passed=True)
RED = GREEN.model_copy(update={"passed": False, "detail": "1 of 2"})


def judge(night: Night, check: Check) -> None:
    paths = [night.recommendations, *night.files.rglob("*.csv"), *night.decisions.glob("*.parquet")]
    paths += night.folder.glob("rows/*.parquet")
    files = {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in sorted(paths)}
    Verdict(run_date=night.run_date, checks=(check,), files=files).write(night.verdict)


def rendered(toy_night: Built, folder: Path) -> Night:
    """A copy of the toy night with finished files, and records of its stages up to there."""
    night = report_night.copied(toy_night.night, folder)
    render.run(night)
    for stage in ("ingest", "features", "recommend", "decide", "render"):
        report_night.stage_file(night, stage)
    return night


def published(toy_night: Built, folder: Path) -> Night:
    """The toy night, green to its end."""
    night = rendered(toy_night, folder)
    judge(night, GREEN)
    report_night.stage_file(night, "gate")
    for channel in export.channels(night):
        export.run(night, channel)
        report_night.stage_file(night, f"export.{channel}")
    report_night.stage_file(night, "evaluate")
    report_night.stage_file(night, "publish")
    return night


@pytest.fixture(scope="module")
def template(toy_night: Built, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return published(toy_night, tmp_path_factory.mktemp("why") / "shop")


@pytest.fixture
def green(template: Night, tmp_path: Path) -> Night:
    """A green night that a test may change."""
    return report_night.copied(template, tmp_path / "shop")


def part(story: Story, title: str) -> list[str]:
    """The lines under one heading."""
    start = story.lines.index(title) + 1
    end = story.lines.index("", start) if "" in story.lines[start:] else len(story.lines)
    return [line.strip() for line in story.lines[start:end]]


@pytest.mark.parametrize("customer", ["ann", "ben", "cat", "dan", "eve", "fay"])
def test_everybody_has_a_story(template: Night, customer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template.shop.folder)
    story = tell(template, customer)
    told = re.sub(r"\(sha256 [0-9a-f]{12},", "(sha256 0123456789ab,", "\n".join(story.lines) + "\n")
    assert told == (GOLDEN / f"why_{customer}.txt").read_text(encoding="utf-8")
    assert story.holds


def test_no_story_shows_an_address_or_a_name(template: Night) -> None:
    for row in toy.ROWS["customers"]:
        text = "\n".join(tell(template, str(row["customer_id"])).lines)
        for column in ("email", "phone", "first_name"):
            assert str(row.get(column) or "nobody@") not in text


def test_telling_changes_nothing(green: Night) -> None:
    def state() -> dict[Path, tuple[int, str]]:
        files = [path for path in green.shop.folder.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in files}

    before = state()
    tell(green, "ann")
    assert state() == before


def test_one_channel_can_be_asked_for(template: Night) -> None:
    story = tell(template, "ann", "crm_file")
    assert "crm_file (e-mail)" in story.lines
    assert "email_file (e-mail)" not in story.lines


def test_an_unknown_channel_lists_the_channels(template: Night) -> None:
    with pytest.raises(ConfigError, match=r"'pigeon', allowed: email_file, crm_file"):
        tell(template, "ann", "pigeon")


def test_an_unknown_customer_is_said_to_be_unknown_without_repeating_the_id(template: Night) -> None:
    with pytest.raises(NotKnown, match="not among the 6") as caught:
        tell(template, "Ann-Katrin")
    assert "Ann-Katrin" not in str(caught.value)


def test_the_newest_folder_is_the_night_unless_a_date_is_given(green: Night) -> None:
    for name in ("2026-03-30", "2026-04-02", "20260501", "notes"):
        (green.folder.parent / name).mkdir()
    assert night_asked(green.shop.path).run_date == date(2026, 4, 2)
    assert night_asked(green.shop.path, toy.RUN_DATE).run_date == toy.RUN_DATE
    with pytest.raises(NotKnown, match="night of 2026-04-01 is not here; there are nights from 2026-03-30 to 2026-04"):
        night_asked(green.shop.path, date(2026, 4, 1))


def test_without_any_night_there_is_no_newest(tmp_path: Path) -> None:
    toy.write_shop(tmp_path)
    for day in (None, toy.RUN_DATE):
        with pytest.raises(NotKnown, match="there are no nights"):
            night_asked(tmp_path / "shop.yaml", day)


def test_on_a_red_night_nobody_got_anything_and_the_check_is_named(toy_night: Built, tmp_path: Path) -> None:
    night = rendered(toy_night, tmp_path / "shop")
    judge(night, RED)
    report_night.stage_file(night, "gate", status="failed", error="GateRed: 1 critical check failed")
    story = tell(night, "ann")
    assert story.lines[2].startswith("The night is red. “Check everything before it leaves” stopped.")
    assert "A check failed: permissions: nobody is mailed who said no." in story.lines[2]
    assert part(story, "email_file (e-mail)") == [
        "Decided: exported. Exported with 2 products.",
        "File: none has left, so nobody got anything over this channel; the cause is at the top.",
    ]
    assert story.holds


def test_when_one_channel_left_before_the_night_went_red_its_file_is_told(toy_night: Built, tmp_path: Path) -> None:
    night = rendered(toy_night, tmp_path / "shop")
    judge(night, GREEN)
    report_night.stage_file(night, "gate")
    export.run(night, "email_file")
    report_night.stage_file(night, "export.email_file")
    report_night.stage_file(night, "export.crm_file", status="failed", error="CannotPublish: disk full")
    story = tell(night, "ann")
    assert story.lines[2].startswith("The night is red. “Hand over: crm_file” stopped.")
    assert part(story, "email_file (e-mail)")[-1].endswith("they have a row, with mint, green, as decided.")
    assert part(story, "crm_file (e-mail)")[-1].startswith("File: none has left")


def test_a_night_that_took_nothing_in_knows_nobody(tmp_path: Path) -> None:
    night = report_night.build(
        report_night.night_of(tmp_path), until="ingest", error="SourceRefused: orders.csv: no header"
    )
    with pytest.raises(NotKnown, match=r"taken nothing in\. “Take in the delivered data” stopped"):
        tell(night, "ann")


def test_an_unfinished_night_is_told_as_far_as_it_came(tmp_path: Path) -> None:
    night = report_night.night_of(tmp_path)
    toy.write_raw(night)
    report_night.stage_file(night, "ingest")
    story = tell(night, "cat")
    assert story.lines[2].startswith("The night is not finished. Not done: Work out customers")
    assert part(story, "Permission")[0].startswith("E-mail: they took their consent")
    said = "Not known: “{}” has left nothing to show for this night."
    assert part(story, "History used") == [said.format("Work out customers, products and permissions")]
    assert part(story, "List") == [said.format("Make every customer's list")]
    assert part(story, "crm_file (e-mail)") == [said.format("Decide who gets it")]
    assert story.holds


def test_before_the_decisions_the_list_has_no_reasons(green: Night) -> None:
    for path in green.decisions.iterdir():
        path.unlink()
    assert part(tell(green, "ann"), "List")[0] == "1. Mint (mint), individual"


def test_a_rerun_that_failed_says_that_some_of_it_is_old(green: Night) -> None:
    report_night.stage_file(green, "recommend", status="failed", error="ModelError: no")
    assert "Some of this comes from an earlier run of this night." in tell(green, "ann").lines


def said_of(tmp_path: Path, **rows: list[dict[str, object]]) -> list[str]:
    """What the story says of ben's permission by e-mail, from nothing but these statements; not of personalisation."""
    night = report_night.night_of(tmp_path)
    toy.write_raw(night, **{"consents": [], "suppressions": []} | rows)
    return part(tell(night, "ben"), "Permission")[:-1]


def statement(status: str, at: str, **fields: object) -> dict[str, object]:
    return {
        "customer_id": "ben",
        "channel": "email",
        "purpose": "marketing",
        "status": status,
        "occurred_at": datetime.fromisoformat(at),
    } | fields


NOT_SUPPRESSED = "E-mail: no suppression matches their customer id, e-mail address or phone number."


@pytest.mark.parametrize(
    ("consents", "told"),
    [
        ([], "they never said anything about marketing, and unknown counts as no."),
        (
            [
                statement("granted", "2026-01-01", purpose="personalisation"),
                statement("granted", "2026-01-01", channel="sms"),
            ],
            "they never said anything about marketing, and unknown counts as no.",
        ),
        (
            [statement("denied", "2026-01-05T09:30:00", source="checkout")],
            "they said no to marketing on 2026-01-05 09:30 (the only statement; from “checkout”).",
        ),
        (
            [
                statement("granted", "2026-01-01", source="old form"),
                statement("granted", "2026-02-01", source="new form"),
                statement("withdrawn", "2026-01-15"),
            ],
            "they agreed to marketing on 2026-02-01 00:00, without an end "
            "(the newest of 3 statements; from “new form”).",
        ),
        (
            [statement("granted", "2026-02-01"), statement("withdrawn", "2026-02-01")],
            "they took their consent to marketing back on 2026-02-01 00:00 (the newest of 2 statements, and the "
            "strictest of those made at that moment; its source was not recorded).",
        ),
        (
            [statement("granted", "2026-01-01", valid_until=datetime(2026, 4, 1))],
            "they agreed to marketing on 2026-01-01 00:00, until 2026-04-01 00:00, which is over "
            "(the only statement; its source was not recorded).",
        ),
        (
            [statement("granted", "2026-01-01", valid_until=datetime(2026, 4, 1, 0, 1))],
            "they agreed to marketing on 2026-01-01 00:00, until 2026-04-01 00:01 "
            "(the only statement; its source was not recorded).",
        ),
        (
            [statement("granted", "2026-01-01"), statement("withdrawn", "2026-04-01")],
            "they took their consent to marketing back on 2026-04-01 00:00 "
            "(the newest of 2 statements; its source was not recorded).",
        ),
        (
            [statement("granted", "2026-01-01"), statement("granted", "2026-04-01", valid_until=datetime(2027, 1, 1))],
            "they agreed to marketing on 2026-01-01 00:00, without an end "
            "(the only statement; its source was not recorded).",
        ),
    ],
)
def test_the_statement_that_counts_is_told(tmp_path: Path, consents: list[dict[str, object]], told: str) -> None:
    assert said_of(tmp_path, consents=consents) == [f"E-mail: {told}", NOT_SUPPRESSED]


def suppression(at: str = "2026-01-01", channel: str = "email", **fields: object) -> dict[str, object]:
    return {"channel": channel, "reason": "complaint", "occurred_at": datetime.fromisoformat(at)} | fields


@pytest.mark.parametrize(
    ("suppressions", "told"),
    [
        (
            [suppression(customer_id="ben")],
            ["suppressed since 2026-01-01 00:00: they complained about an earlier message (matched by customer id)."],
        ),
        (
            [suppression(phone="+49 (1511) 234-5678", channel="all", reason="do_not_contact")],
            [
                "suppressed since 2026-01-01 00:00, for every contact channel: they asked not to be contacted "
                "(matched by phone number)."
            ],
        ),
        (
            [suppression(email=" BEN@example.com", customer_id="ben", phone="+4915112345678", reason="erased")],
            [
                "suppressed since 2026-01-01 00:00, for every contact channel: they asked to be erased "
                "(matched by customer id and e-mail address and phone number)."
            ],
        ),
        (
            [suppression(f"2026-01-0{day}", customer_id="ben", reason="hard_bounce") for day in (5, 4, 3, 2, 1)],
            [
                *(
                    f"suppressed since 2026-01-0{day} 00:00: an earlier message bounced (matched by customer id)."
                    for day in (1, 2, 3)
                ),
                "and 2 later suppressions.",
            ],
        ),
        (
            [suppression(customer_id="ann"), suppression(channel="sms", customer_id="ben"), suppression(email="be")],
            [NOT_SUPPRESSED.removeprefix("E-mail: ")],
        ),
    ],
)
def test_every_suppression_that_matches_is_told_with_what_it_matched(
    tmp_path: Path, suppressions: list[dict[str, object]], told: list[str]
) -> None:
    said = said_of(tmp_path, suppressions=suppressions)
    assert said[1:] == [f"E-mail: {line}" for line in told]
    assert not [line for line in said if "@" in line or "234" in line]


def test_every_reason_of_a_suppression_has_words() -> None:
    assert set(SUPPRESSION_WORDS) == set(CONTRACTS["suppressions"].column("reason").allowed)


def test_the_story_of_permission_agrees_with_what_dbt_decided(hard_night: Built) -> None:
    night = hard_night.night
    with duckdb.connect(str(night.warehouse), read_only=True) as con:
        rows = con.sql(
            "SELECT customer_id, reason FROM marketing.customer_contactability "
            "WHERE contact_channel = 'email' AND NOT is_objected_by_another"
        ).fetchall()
    assert {reason for _, reason in rows} >= {None, "suppressed", "no_consent", "consent_expired"}
    for customer, reason in rows:
        text = "\n".join(line for line in part(tell(night, customer), "Permission") if line.startswith("E-mail"))
        assert ("E-mail: suppressed" in text) == (reason == "suppressed"), customer
        if reason != "suppressed":
            assert ("E-mail: they agreed" not in text) == (reason == "no_consent"), customer
            assert ("which is over" in text) == (reason == "consent_expired"), customer


def test_addresses_are_compared_as_dbt_compares_them() -> None:
    macros = (REPOSITORY / "dbt_project" / "macros" / "addresses.sql").read_text(encoding="utf-8")
    for name, normal_form in NORMAL_FORMS.items():
        body = macros.split(f"macro {name}(column) -%}}")[1].split("{%- endmacro")[0]
        assert " ".join(body.split()).replace("{{ column }}", "text") == normal_form


def test_what_stands_against_somebody_by_a_roundabout_way_is_told(hard_night: Built) -> None:
    told = {who: part(tell(hard_night.night, who), "Permission") for who in ("renamed", "banned", "bounced")}
    said = "(the newest of 2 statements, said under another id of theirs; its source was not recorded)."
    assert told["renamed"][0].endswith(said)
    assert told["banned"][1].endswith("they asked not to be contacted (matched by another id of theirs).")
    assert told["bounced"][1] == (
        "E-mail: suppressed since 2026-02-02 00:00: an earlier message bounced (matched by a message sent to them)."
    )


def test_a_shared_address_is_told_without_saying_whose_it_is(hard_night: Built) -> None:
    assert part(tell(hard_night.night, "old"), "email_file (e-mail)")[0] == (
        "Decided: same address as somebody else. Another customer with the same e-mail address is contacted instead."
    )


def chapters(night: Night, customer: str) -> dict[str, list[str]]:
    story = tell(night, customer)
    titles = ("Permission", "History used", "Rules applied", "Choices applied", "List")
    return {title: part(story, title) for title in titles}


@pytest.mark.parametrize(
    ("customer", "why"),
    [
        ("private", "denied on 2026-01-01 00:00 for text message"),
        ("lapsed", "agreed on 2026-01-01 00:00 for e-mail, until 2026-04-01 00:00, which is over"),
        ("unasked", "they never said anything about it, and unknown counts as no"),
        ("quit", "they allow marketing nowhere: withdrawn on 2026-01-02 00:00 for e-mail"),
        ("renamed", None),
        (
            "called",
            "suppressed since 2026-01-01 00:00, for every contact channel: they asked not to be contacted "
            "(matched by phone number)",
        ),
    ],
)
def test_who_does_not_allow_personalisation_is_told_so_and_nothing_of_what_they_did(
    hard_night: Built, customer: str, why: str | None
) -> None:
    told = chapters(hard_night.night, customer)
    if why is None:
        assert told["Permission"][-1].startswith("Personalisation: allowed (agreed on 2026-01-01 00:00")
        return
    assert told["Permission"][-1] == (
        f"Personalisation: not allowed ({why}), so what they bought and looked at is not used, and their list is the "
        "popular one."
    )
    assert told["History used"] == [
        "Not used, since they do not allow personalisation: what they bought and looked at is in no figure."
    ]
    assert "nothing is known" not in str(told)
    assert told["Rules applied"][1] == "Nothing is left out because they bought it: that is not used."
    assert "It is the popular list, since what they bought and looked at may not be used." in told["List"]


def test_the_story_of_personalisation_agrees_with_what_dbt_decided(hard_night: Built) -> None:
    with duckdb.connect(str(hard_night.night.warehouse), read_only=True) as con:
        rows = con.sql("SELECT customer_id, may_personalise, is_minor FROM core.dim_customers").fetchall()
    assert {allowed for _, allowed, _ in rows} == {True, False}
    for customer, allowed, is_minor in rows:
        last = part(tell(hard_night.night, customer), "Permission")[-1]
        assert last.startswith("Personalisation: allowed (") == allowed, customer
        assert last.startswith("Personalisation: They may be younger") == is_minor, customer


def test_of_a_minor_nothing_is_told_and_no_list_is_said_to_have_been_possible(hard_night: Built) -> None:
    told = chapters(hard_night.night, "kid")
    said = "They may be younger than 16, so no list is made and nothing about them is used."
    assert told["Permission"][-1] == f"Personalisation: {said}"
    assert told["List"] == [said]
    assert told["Rules applied"] == ["Nothing is recommended to them, since they may be younger than 16."]
    for title in ("History used", "Choices applied"):
        assert told[title] == ["Not used, since they may be younger than 16: nothing about them is."]


@pytest.mark.parametrize(("customer", "other"), [("wife", "husband"), ("free", "barred")])
def test_an_objection_of_another_customer_is_told_without_naming_them(
    hard_night: Built, customer: str, other: str
) -> None:
    permission = part(tell(hard_night.night, customer), "Permission")
    assert (
        "E-mail: another customer with the same e-mail address objected to marketing there, and that holds for the "
        "address." in permission
    )
    assert other not in str(permission)
    for who in (other, "old", "bounced"):
        assert "another customer" not in str(part(tell(hard_night.night, who), "Permission"))


@pytest.mark.parametrize(
    ("customer", "told"),
    [
        ("pause", ["Pause: asked for on 2026-03-01 00:00, until 2026-04-01: nothing is sent to them before that."]),
        ("back", ["Pause: asked for on 2026-03-01 00:00, until 2026-03-31, which is over."]),
        (
            "vague",
            [
                "Pause: asked for on 2026-03-01 00:00; until when cannot be read, so it holds until they say something "
                "else."
            ],
        ),
        ("old", []),
    ],
)
def test_a_pause_is_told_with_its_end(hard_night: Built, customer: str, told: list[str]) -> None:
    lines = part(tell(hard_night.night, customer), "Permission")
    assert [line for line in lines if line.startswith("Pause")] == told


def test_a_list_of_two_stages_says_what_each_of_them_does(green: Night) -> None:
    for path in (green.recommendations, green.decisions / "fct_recommendations.parquet"):
        frame = pl.read_parquet(path)
        write_parquet(frame.with_columns(model_version=pl.lit("ranker-2+als-1")), path)
    assert part(tell(green, "ann"), "List")[-1] == (
        "Made in two stages: ranker-2 puts candidates in order, and where they end, als-1 goes on. A reason names what "
        "weighs most in als-1, not why the product stands at its place; popular rows are of neither."
    )


def test_nobody_without_a_list_is_left_without_a_word(hard_night: Built) -> None:
    story = tell(hard_night.night, "listless")
    assert part(story, "List") == ["No product is left that may be recommended to them, so they have no list."]
    assert part(story, "email_file (e-mail)")[0].startswith("Decided: list too short. Too few recommended products: 0")


def test_visits_before_signing_up_are_counted_and_said(hard_night: Built) -> None:
    history = part(tell(hard_night.night, "new"), "History used")
    assert "Counted with them: 4 visitor ids, of visits without signing in." in history
    assert history[0].endswith("; visits: put on the wishlist 1 time.")


def change_decision(night: Night, customer: str, status: str) -> None:
    path = night.decisions / "fct_decisions.parquet"
    changed = pl.when(pl.col("customer_id") == customer).then(pl.lit(status)).otherwise("status").alias("status")
    write_parquet(pl.read_parquet(path).with_columns(changed), path)


@pytest.mark.parametrize(("customer", "status"), [("ann", "no_consent"), ("cat", "exported")])
def test_a_file_that_disagrees_with_the_decision_is_a_fault(green: Night, customer: str, status: str) -> None:
    change_decision(green, customer, status)
    story = tell(green, customer)
    assert not story.holds
    assert part(story, "email_file (e-mail)")[-1].endswith("which is not what was decided.")
    assert len([line for line in part(story, "To be looked into") if "disagree" in line]) == 2


def test_a_file_that_was_changed_after_it_left_is_not_believed(green: Night) -> None:
    path = green.audience("crm_file") / "crm_file_20260331.csv"
    path.write_text(path.read_text().replace("ann", "fay"))
    story = tell(green, "ann")
    assert not story.holds
    assert story.lines[2].startswith("The night is red.")
    assert "changed since" in part(story, "crm_file (e-mail)")[-1]
    assert part(story, "email_file (e-mail)")[-1].endswith("as decided.")


@pytest.mark.parametrize(
    ("broken", "title"),
    [
        ("warehouse.duckdb", "History used"),
        ("raw/consents.parquet", "Permission"),
        ("features/products.parquet", "Rules applied"),
        ("decisions/fct_recommendations.parquet", "List"),
        ("decisions/fct_decisions.parquet", "crm_file (e-mail)"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_is_told(green: Night, broken: str, title: str) -> None:
    (green.folder / broken).write_bytes(b"broken")
    story = tell(green, "ann")
    assert not story.holds
    assert part(story, title) == ["Not known: it cannot be read; see the end."]
    assert any(f"“{title}” cannot be read" in line for line in part(story, "To be looked into"))


def test_customers_that_cannot_be_read_are_no_unknown_customers(green: Night) -> None:
    (green.raw / "customers.parquet").write_bytes(b"broken")
    with pytest.raises(NotKnown, match=r"customers\.parquet cannot be read \(InvalidInputException\)"):
        tell(green, "ann")


@pytest.mark.parametrize(
    ("body", "customer", "products"),
    [
        ('"ann","saw",""\n', "ann", ["saw"]),
        ('"ann","saw","a, b"\n', "ann", ["saw", "a, b"]),
        ('"ann","",""\n', "ann", []),
        ('"annabel","saw","saw"\n"x","ann","ann"\n', "ann", None),
        ('"an""n","saw",""\n', 'an"n', ["saw"]),
        ('"007","saw","1.50"\n', "007", ["saw", "1.50"]),
        ("", "ann", None),
    ],
)
def test_the_row_of_a_published_file_is_found_by_exactly_its_id(
    tmp_path: Path, body: str, customer: str, products: list[str] | None
) -> None:
    path = tmp_path / "file.csv"
    columns = ("customer_id", "rec_1_id", "rec_2_id")
    path.write_text(",".join(f'"{column}"' for column in columns) + "\n" + body)
    assert products_in(CrmFile("crm_file", slots=2), [path], {"customer_id": customer}) == products


def test_a_channel_that_the_night_did_not_have_is_said(green: Night) -> None:
    path = green.decisions / "fct_decisions.parquet"
    write_parquet(pl.read_parquet(path).filter(pl.col("channel") != "crm_file"), path)
    assert part(tell(green, "ann"), "crm_file (e-mail)") == [
        "No decision: this channel was not among the channels of that night."
    ]


def test_names_of_products_cannot_steer_the_terminal(green: Night) -> None:
    path = green.features / "products.parquet"
    write_parquet(pl.read_parquet(path).with_columns(name=pl.lit("\x1b[2J") + pl.col("name")), path)
    story = tell(green, "ann")
    assert "1.  [2JMint (mint), individual: Because you bought Green (61 %)" in part(story, "List")
    assert all(line.isprintable() for line in story.lines)


def recsys(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recsys.cli", "why", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_the_command_prints_the_story(template: Night) -> None:
    done = recsys(template.shop.path, "ann", "--date", template.run_date)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n".join(tell(template, "ann").lines) + "\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(("nobody",), 1), (("ann", "--date", "2026-01-01"), 1), (("ann", "--date", "1.1."), 2)]
)
def test_the_command_ends_with_a_message_when_it_cannot_answer(
    template: Night, arguments: tuple[str, ...], code: int
) -> None:
    done = recsys(template.shop.path, *arguments)
    assert done.returncode == code
    assert not done.stdout
    assert "Traceback" not in done.stderr
    assert "nobody" not in done.stderr


def test_whether_and_how_a_row_was_delivered_is_told(green: Night, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    text = green.shop.path.read_text()
    told = f"name: email_file, deliver: {{to: 'file://{inbox}'}},"
    green.shop.path.write_text(text.replace("name: email_file,", told))
    night = Night(load_shop(green.shop.path), green.run_date)
    before = part(tell(night, "ann", "email_file"), "email_file (e-mail)")
    assert f"Delivery to file://{inbox}: pending, at least, for everybody in it." in before
    deliver.run(night, "email_file")
    story = part(tell(night, "ann", "email_file"), "email_file (e-mail)")
    [line] = [line for line in story if line.startswith("Delivery")]
    assert line.startswith(f"Delivery to file://{inbox}, in email_file_20260331.csv: delivered (sha256 ")
    refused = [(night.run_date, "email_file", "ann", "email_file_20260331.csv", "invalid_email", "email")]
    write_parquet(pl.DataFrame(refused, schema=ERRORS.schema, orient="row"), path_of(night, "email_file"))
    story = part(tell(night, "ann", "email_file"), "email_file (e-mail)")
    [line] = [line for line in story if line.startswith("Delivery")]
    assert line == (
        f"Delivery to file://{inbox}, in email_file_20260331.csv: not delivered, the tool refused their record "
        "(invalid_email: email). See published/ledger/errors/email_file/2026-03-31.parquet."
    )
    held_back = part(tell(night, "cat", "email_file"), "email_file (e-mail)")
    assert not [line for line in held_back if line.startswith("Delivery")]
