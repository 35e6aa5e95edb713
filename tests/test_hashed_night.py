"""A night with audiences of hashes, decided by the real models: who is in them and why not, and what the gate finds."""

import csv
import hashlib
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import toy
from dbt_nights import Built, build

from expectations import evidence as evidence_of
from expectations import facts, gate, hashed, permission
from recsys import export, ledger
from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.channels.hashed_audience import HashedAudience
from recsys.config import load_shop
from recsys.errors import NotAudited, StageInputMissing
from recsys.files import sha256_of
from recsys.manifest import SUCCESS
from recsys.night import Night

YESTERDAY = toy.RUN_DATE - timedelta(days=1)
SHOP = """
  - {name: google, kind: google_customer_match, slots: 1, min_items: 1}
  - {name: meta, kind: meta_custom_audiences, slots: 1, min_items: 1, rows: delta}
"""
ADDRESSES = {
    "ann": ("A.nn+news@gmail.com", "+49 (0)151 1234567"),
    "ben": ("ben@example.com", None),
    "cat": ("cat at home", "+44 20 7183 8750"),
    "dan": ("dan at home", "0151"),
    "eve": ("eve@example.com", None),
    "fay": ("EVE@example.com", "+33 1 23 45 67 80"),
    "gus": ("Ben@example.com", "+33 1 23 45 67 89"),
    "hal": ("h.al@gmail.com", None),
    "ida": ("Hal+tea@GoogleMail.com", None),
    "jon": ("joe@gmail.com", None),
}
MOMENT = {"occurred_at": datetime(2026, 1, 1)}
ANN_META = ("a.nn+news@gmail.com", "491511234567")
GREEN = Check(suite="toy", check="good", severity="critical", passed=True)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def said(who: str, status: str = "granted", **fields: object) -> dict[str, object]:
    given = {"customer_id": who, "channel": "ads", "purpose": "marketing", "status": status}
    return given | MOMENT | fields


def was_in(night: Night, name: str, *people: tuple[str, str, str | None]) -> None:
    """The last night's files of an audience: published, with these hashed addresses on record."""
    before = Night(night.shop, YESTERDAY)
    rows = [(YESTERDAY, name, who, sha(email), phone and sha(phone), "another row") for who, email, phone in people]
    entries = [(YESTERDAY, "recommendations", name, "ads", who, None) for who, _, _ in people]
    for book, found in ((ledger.ROWS, rows), (ledger.RECIPIENTS, entries), (ledger.ITEMS, [])):
        path = ledger.path_of(before, book, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(found, schema=book.schema, orient="row").write_parquet(path)
    folder = night.published / "audiences" / name / f"{YESTERDAY}"
    folder.mkdir(parents=True)
    (folder / SUCCESS).touch()


@pytest.fixture(scope="module")
def built(recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory) -> Built:
    path = toy.write_shop(tmp_path_factory.mktemp("ads")).path
    path.write_text(path.read_text().rstrip() + SHOP)
    night = Night(load_shop(path), toy.RUN_DATE)
    people = [toy._customer(who, email=email, phone=phone) for who, (email, phone) in ADDRESSES.items()]
    consents = [said(who, "denied" if who in {"eve", "hal"} else "granted") for who in ADDRESSES]
    against = {"email": "J.O.E+ads@gmail.com", "channel": "ads", "reason": "unsubscribe"}
    personal = [said(who, purpose="personalisation", channel="email") for who in ("ann", "cat", "fay", "gus")]
    was_in(night, "meta", ("ann", "old@example.com", "491511234567"), ("zoe", "zoe@example.com", None))
    toy.write_raw(
        night, customers=people, consents=consents + personal, suppressions=[against | MOMENT], preferences=[]
    )
    ledger.link(night, ledger.known(night))
    made = build(night, {who: ["popular green"] for who in ADDRESSES})
    render.run(night)
    return made


def judge(night: Night) -> None:
    """The gate's verdict on everything that is there."""
    paths = [night.recommendations, *night.files.rglob("*.csv"), *night.decisions.glob("*.parquet")]
    paths += night.folder.glob("rows/*.parquet")
    files = {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in paths}
    Verdict(run_date=night.run_date, checks=(GREEN,), files=files).write(night.verdict)


def rows(night: Night, name: str, what: str) -> list[tuple[str, ...]]:
    with (night.files / name / f"{name}_{what}_20260331.csv").open(encoding="utf-8", newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)]


@pytest.mark.parametrize("channel", ["google", "meta"])
def test_who_is_in_an_audience_and_who_is_not_is_said_with_its_reason(built: Built, channel: str) -> None:
    decisions = pl.read_parquet(built.night.decisions / "fct_decisions.parquet").filter(channel=channel)
    in_it = ("exported", "Exported with 1 product")
    assert {
        who: (status, reason) for who, status, reason in decisions.select("customer_id", "status", "reason").rows()
    } == {
        **dict.fromkeys(("ann", "ben", "cat", "gus"), in_it),
        "dan": ("invalid_address", "No valid e-mail address or phone number"),
        "eve": ("no_consent", "No current consent for marketing through advertising"),
        "fay": (
            "no_consent",
            "Another customer with the same e-mail address or phone number objected to marketing through advertising",
        ),
        "hal": ("no_consent", "No current consent for marketing through advertising"),
        "ida": (
            "no_consent",
            "Another customer with the same e-mail address or phone number objected to marketing through advertising",
        ),
        "jon": ("suppressed", "Must not be contacted through advertising: unsubscribed"),
    }


def test_no_spelling_of_a_mailbox_that_objected_is_in_an_audience(built: Built) -> None:
    """Hal said no as h.al@gmail.com, Joe as J.O.E+ads@gmail.com; neither platform hears of any way to write them."""
    finished = "".join(path.read_text() for path in built.night.files.rglob("*.csv"))
    assert sha("ben@example.com") in finished
    for spelling in ("hal@gmail.com", "h.al@gmail.com", "hal@googlemail.com", "hal+tea@googlemail.com"):
        assert sha(spelling) not in finished
    for spelling in ("joe@gmail.com", "j.o.e+ads@gmail.com"):
        assert sha(spelling) not in finished


def test_the_files_hold_them_by_consent_signal_each_hash_once(built: Built) -> None:
    head = ("Email", "Phone")
    assert rows(built.night, "google", "personalised") == [
        head,
        (sha("ann@gmail.com"), sha("+491511234567")),
        ("", sha("+442071838750")),
        ("", sha("+33123456789")),
    ]
    assert rows(built.night, "google", "unpersonalised") == [head, (sha("ben@example.com"), "")]
    assert rows(built.night, "google", "personalised_remove") == [head]


def test_a_delta_takes_out_what_was_in_the_last_delivered_files(built: Built) -> None:
    gone = sorted([(sha("old@example.com"), ""), (sha("zoe@example.com"), "")])
    assert rows(built.night, "meta", "personalised_add")[1] == tuple(map(sha, ANN_META))
    assert rows(built.night, "meta", "personalised_remove") == [("email", "phone"), *gone]
    assert rows(built.night, "meta", "unpersonalised_remove")[1:] == [*gone, ("", sha(ANN_META[1]))]


def found(night: Night, name: str) -> set[str]:
    """Names of the checks on an audience that fail."""
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    channel = next(channel for channel in night.shop.channels if channel.name == name)
    every = hashed.check(evidence, permission.gather(night), channel)
    assert {check.severity for check in every} == {"critical"}
    assert len(every) > 15 or not all(check.passed for check in every)
    return {check.check for check in every if not check.passed}


def test_the_gate_agrees(built: Built) -> None:
    assert found(built.night, "google") == found(built.night, "meta") == set()
    evidence, _ = evidence_of.gather(built.night)
    assert evidence is not None
    knows = permission.gather(built.night)
    every = gate.recounted(evidence, facts.gather(built.night, knows), knows)
    assert [
        (check.suite, check.check, check.detail) for check in every if check.severity == "critical" and not check.passed
    ] == []


Cells = list[list[str]]
ANN, BEN, EVE, NOBODY = sha("ann@gmail.com"), sha("ben@example.com"), sha("eve@example.com"), sha("")
BY_META = sha("a.nn+news@gmail.com")
STRANGE, TWICE = "hashes_are_of_recipients_of_the_signal", "hashes_named_once"
MISSING = "everybody_is_named_or_known_already"
NO_HASH, KEPT = "cells_are_hashes", "who_left_is_removed"
Wrong = tuple[str, str, Callable[[Cells], Cells], set[str]]
WRONG: list[Wrong] = [
    ("google", "personalised", lambda rows: [*rows, [BEN, ""]], {STRANGE, TWICE}),
    ("google", "personalised", lambda rows: [*rows, [ANN, ""]], {TWICE}),
    ("google", "personalised", lambda rows: rows[:1], {MISSING}),
    ("google", "unpersonalised", lambda rows: [*rows, [EVE, ""]], {STRANGE}),
    ("google", "unpersonalised", lambda rows: [*rows, [BY_META, ""]], {STRANGE}),
    ("google", "unpersonalised", lambda rows: [*rows, ["ben@example.com", ""]], {NO_HASH, STRANGE}),
    ("google", "unpersonalised", lambda rows: [*rows, [NOBODY, ""]], {NO_HASH, STRANGE}),
    ("google", "unpersonalised", lambda rows: [[*row, BEN] for row in rows], {NO_HASH}),
    ("google", "personalised_remove", lambda rows: [*rows, [ANN, ""]], {"removed_were_held_and_left"}),
    ("meta", "personalised_remove", lambda rows: rows[:-1], {KEPT}),
    ("meta", "unpersonalised_remove", lambda rows: rows[:-1], {KEPT}),
    ("meta", "personalised_add", lambda rows: [*rows[:1], *rows[2:]], {MISSING}),
]


@pytest.mark.parametrize(("name", "what", "change", "checks"), WRONG)
def test_a_wrong_file_is_found(
    built: Built, tmp_path: Path, name: str, what: str, change: Callable[[Cells], Cells], checks: set[str]
) -> None:
    night = copied(built.night, tmp_path)
    path = night.files / name / f"{name}_{what}_20260331.csv"
    changed = change([list(row) for row in rows(night, name, what)])
    path.write_text("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in changed))
    assert found(night, name) == checks


def test_a_file_that_is_missing_or_strange_is_found(built: Built, tmp_path: Path) -> None:
    night = copied(built.night, tmp_path)
    path = night.files / "google" / "google_personalised_20260331.csv"
    path.rename(path.with_name("google_personalised_20260401.csv"))
    assert found(night, "google") == {"files_are_there", "files_are_known"}


def test_whoever_may_not_be_contacted_is_found_whatever_was_decided(built: Built, tmp_path: Path) -> None:
    night = copied(built.night, tmp_path)
    refused = pl.read_parquet(night.raw / "consents.parquet").with_columns(
        status=pl.when(pl.col("customer_id") == "gus").then(pl.lit("denied")).otherwise("status")
    )
    refused.write_parquet(night.raw / "consents.parquet")
    assert {"newest_statement_is_granted", "nobody_at_an_objecting_address"} <= found(night, "google")


def copied(night: Night, folder: Path) -> Night:
    """The night in a shop of its own, so that it can be spoiled."""
    shutil.copytree(night.shop.path.parent, folder / "shop")
    return Night(load_shop(folder / "shop" / night.shop.path.name), night.run_date)


def test_the_ledger_knows_hashes_and_no_address(built: Built, tmp_path: Path) -> None:
    night = copied(built.night, tmp_path)
    judge(night)
    assert export.run(night, "google")["files"] == 4
    entered = pl.read_parquet(ledger.path_of(night, ledger.ROWS, "google"))
    assert entered.select("customer_id", "email", "phone").rows() == [
        ("ann", sha("ann@gmail.com"), sha("+491511234567")),
        ("ben", sha("ben@example.com"), None),
        ("cat", None, sha("+442071838750")),
        ("gus", None, sha("+33123456789")),
    ]
    assert pl.read_parquet(ledger.path_of(night, ledger.RECIPIENTS, "google"))["address"].to_list() == [None] * 4
    assert pl.read_parquet(ledger.path_of(night, ledger.ITEMS, "google")).height == 0
    assert date.fromisoformat(next((night.published / "audiences" / "google").iterdir()).name) == night.run_date


def test_the_ledger_takes_the_rows_that_the_gate_saw_and_no_others(built: Built, tmp_path: Path) -> None:
    night = copied(built.night, tmp_path)
    judge(night)
    path = night.rows("google")
    seen = path.read_bytes()
    pl.read_parquet(path).head(1).write_parquet(path)
    with pytest.raises(NotAudited, match="bytes changed after the gate"):
        export.run(night, "google")
    path.unlink()
    with pytest.raises(StageInputMissing, match="Run render and the gate first"):
        export.run(night, "google")
    assert not ledger.path_of(night, ledger.ROWS, "google").exists()
    path.write_bytes(seen)
    export.run(night, "google")
    entered = pl.read_parquet(ledger.path_of(night, ledger.ROWS, "google"))
    assert entered.drop("run_date", "channel").equals(pl.read_parquet(path))


def test_rendering_that_dies_leaves_no_rows_of_files_that_are_not_there(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = copied(built.night, tmp_path)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HashedAudience, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        render.run(night)
    assert not list(night.folder.glob("rows/*"))
    monkeypatch.undo()
    render.run(night)
    assert night.rows("google").read_bytes() == built.night.rows("google").read_bytes()
