"""Delivery to tools' APIs, against servers that answer as the tools' documentation says: each record at most once,
every good one there, every error on record, whatever goes wrong."""

import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from api_delivery import (
    SILENCE,
    Time,
    braze_lines,
    carrier_to,
    connection_to,
    deliver,
    delivered_at_last,
    errors_of,
    klaviyo_lines,
    published,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from thorough import tries
from tool_servers import FAULTS, KEY, Braze, Klaviyo, Server, running

from recsys.config import load_shop
from recsys.delivery import api_carrier, stage
from recsys.delivery.api import Clock, Pace, connect
from recsys.delivery.batches import Batch, Problem, as_json, require_no_consent, slice_of
from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Journal, Outcome, State, is_delivered
from recsys.erasure.audiences import Audiences
from recsys.errors import CannotDeliver, ConfigError, Transient
from recsys.night import Night

KLAVIYO_FILE, BRAZE_FILE = "klaviyo_20260331.json", "braze_20260331.jsonl"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: every line of a journal is synced."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


@pytest.fixture
def klaviyo() -> Iterator[Klaviyo]:
    with running(server := Klaviyo()):
        yield server


@pytest.fixture
def braze() -> Iterator[Braze]:
    with running(server := Braze()):
        yield server


def klaviyo_night(folder: Path, *bodies: list[str]) -> Night:
    return published(
        folder, "klaviyo", {KLAVIYO_FILE: klaviyo_lines(*bodies)}, [each for ids in bodies for each in ids]
    )


def braze_night(folder: Path, ids: list[str], **attributes: object) -> Night:
    return published(folder, "braze", {BRAZE_FILE: braze_lines(ids, **attributes)}, ids)


def states(journal: Journal) -> dict[str, str]:
    return {entry.part.partition("#")[2]: entry.outcome.value for entry in journal.entries}


# Klaviyo


def test_klaviyo_takes_profiles_and_its_job_is_read_back(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"], ["ok3"])
    journal = deliver(klaviyo, night, "klaviyo")
    assert klaviyo.received == {"ok1": 1, "ok2": 1, "ok3": 1}
    assert states(journal) == {"1": "acknowledged", "2": "acknowledged"}
    assert [entry.receipt for entry in journal.entries] == [
        "job job-1: 2 in all, 2 completed, 0 failed",
        "job job-2: 1 in all, 1 completed, 0 failed",
    ]
    assert klaviyo.bodies[0] == json.loads(klaviyo_lines(["ok1", "ok2"]))
    assert errors_of(night, "klaviyo").is_empty()


def test_profiles_that_a_job_refuses_are_on_record_without_values(klaviyo: Klaviyo, tmp_path: Path) -> None:
    ids = [f"ok{number}" for number in range(150)] + [f"late{number}" for number in range(130)]
    night = klaviyo_night(tmp_path, ids)
    journal = deliver(klaviyo, night, "klaviyo")
    errors = errors_of(night, "klaviyo")
    assert sorted(errors["customer_id"]) == sorted(ids[150:])
    assert errors.drop("customer_id").unique().rows() == [
        (date(2026, 3, 31), "klaviyo", f"{KLAVIYO_FILE}#1", "invalid", "email")
    ]
    assert states(journal) == {"1": "acknowledged"}
    assert journal.entries[0].receipt == "job job-1: 280 in all, 150 completed, 130 failed"
    assert max(klaviyo.received.values()) == 1


def test_klaviyo_names_bad_profiles_and_the_rest_arrives_without_them(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "named2", "ok3", "ok4", "named5"])
    journal = deliver(klaviyo, night, "klaviyo")
    assert klaviyo.received == {"ok1": 1, "ok3": 1, "ok4": 1}
    assert states(journal) == {
        **{"1:1": "acknowledged", "1:2": "declined"},
        **{"1:3-4": "acknowledged", "1:5": "declined"},
    }
    assert errors_of(night, "klaviyo").select("customer_id", "code", "detail").rows() == [
        ("named2", "invalid", "email"),
        ("named5", "invalid", "email"),
    ]


def test_a_bad_profile_that_nobody_names_is_found_by_halving(klaviyo: Klaviyo, tmp_path: Path) -> None:
    ids = [f"ok{number}" for number in range(12)]
    ids[7] = "fatal7"
    night = klaviyo_night(tmp_path, ids)
    journal = deliver(klaviyo, night, "klaviyo")
    assert klaviyo.received == {each: 1 for each in ids if each != "fatal7"}
    assert states(journal)["1:8"] == "declined"
    assert errors_of(night, "klaviyo").select("customer_id", "code").rows() == [("fatal7", "status 400")]


def test_a_request_whose_answer_was_lost_is_found_among_the_jobs(klaviyo: Klaviyo, tmp_path: Path) -> None:
    """Also when the answer came and could not be read, and beside another job of as many profiles."""
    for number, fault in enumerate(("500_after", "silence_after", "reset_after", "malformed")):
        night = klaviyo_night(tmp_path / fault, [f"ok{number}a", f"ok{number}b"])
        klaviyo.take({"data": {"attributes": {"profiles": {"data": [{"attributes": {"email": "x@y.z"}}] * 2}}}})
        klaviyo.faults.append(fault)
        journal = deliver(klaviyo, night, "klaviyo", answer=SILENCE)
        assert states(journal) == {"1": "acknowledged"}, fault
        assert klaviyo.received[f"ok{number}a"] == 1
        assert [method for method, _ in klaviyo.requests].count("POST") == number + 1


def test_a_request_that_is_in_no_job_stays_in_doubt_and_the_rest_goes_on(klaviyo: Klaviyo, tmp_path: Path) -> None:
    for number, fault in enumerate(("500_before", "silence_before", "reset_before")):
        night = klaviyo_night(tmp_path / fault, [f"ok{number}"], [f"ok{number}b"])
        klaviyo.faults.append(fault)
        for _ in range(2):
            journal = deliver(klaviyo, night, "klaviyo", answer=SILENCE)
            assert states(journal) == {"1": "in_doubt", "2": "acknowledged"}, fault
        assert klaviyo.received[f"ok{number}"] == 0
        assert klaviyo.received[f"ok{number}b"] == 1


def test_a_job_of_another_delivery_of_the_same_people_settles_no_doubt(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"])
    klaviyo.faults.append("reset_before")
    deliver(klaviyo, night, "klaviyo")
    other = published(tmp_path, "second", {"second_20260331.json": klaviyo_lines(["ok1", "ok2"])}, ["ok1", "ok2"])
    assert states(deliver(klaviyo, other, "second")) == {"1": "acknowledged"}
    assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}


def test_a_job_about_others_settles_no_doubt(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"])
    klaviyo.faults.append("reset_before")
    deliver(klaviyo, night, "klaviyo")
    for ids in (["x", "y"], ["ok1", "x"], ["ok1", "late"], ["ok1"], ["ok1", "ok2", "x"]):
        klaviyo.take(json.loads(klaviyo_lines(ids)))
        assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}, ids
    klaviyo.take(json.loads(klaviyo_lines(["ok2", "ok1"])))
    assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "acknowledged"}


def test_a_job_whose_profiles_are_not_all_listed_settles_no_doubt(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"])
    klaviyo.faults.append("reset_before")
    deliver(klaviyo, night, "klaviyo")
    klaviyo.take(json.loads(klaviyo_lines(["ok1", "unlisted"])))
    assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}


def test_while_two_parts_of_the_same_size_are_in_doubt_a_job_is_nobodys(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"])
    other = published(tmp_path, "second", {"second_20260331.json": klaviyo_lines(["ok1", "ok2"])}, ["ok1", "ok2"])
    klaviyo.faults += ["reset_before", "reset_after"]
    assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}
    assert states(deliver(klaviyo, other, "second")) == {"1": "in_doubt"}


def test_a_job_that_never_ends_stays_exported_and_is_read_by_a_later_run(tmp_path: Path) -> None:
    with running(klaviyo := Klaviyo(polls=10**9)):
        night, time = klaviyo_night(tmp_path, ["ok1"], ["ok2"]), Time()
        journal = deliver(klaviyo, night, "klaviyo", time)
        assert [entry.state for entry in journal.entries] == [State.EXPORTED, State.EXPORTED]
        assert 1500 < time.now - 1000 < 4500
        klaviyo.polls = 0
        assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "acknowledged", "2": "acknowledged"}
        assert klaviyo.received == {"ok1": 1, "ok2": 1}


def test_a_cancelled_job_is_for_a_zebra(tmp_path: Path) -> None:
    with running(klaviyo := Klaviyo(ends="cancelled")):
        night = klaviyo_night(tmp_path, ["ok1"])
        assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}
        assert states(deliver(klaviyo, night, "klaviyo")) == {"1": "in_doubt"}
        assert klaviyo.received == {"ok1": 1}


def test_looking_is_tried_again_and_gives_up_without_another_request(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night, time = klaviyo_night(tmp_path, ["ok1"]), Time()
    klaviyo.looking_faults += ["500", "429", "500"]
    assert states(deliver(klaviyo, night, "klaviyo", time)) == {"1": "acknowledged"}
    assert 3.0 in time.slept
    klaviyo.looking_faults += ["500"] * 6
    with pytest.raises(Transient, match="status 500, 6 times"):
        deliver(klaviyo, klaviyo_night(tmp_path / "next", ["ok2"]), "klaviyo")
    assert klaviyo.received == {"ok1": 1}


def test_a_wrong_list_stops_the_delivery_and_is_no_records_fault(klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = klaviyo_night(tmp_path, ["ok1", "ok2"])
    with pytest.raises(CannotDeliver, match=r"status 400\..*host and settings"):
        deliver(klaviyo, night, "klaviyo", list_id="NOPE")
    assert states(Journal.open(night, "klaviyo")) == {"1": "failed"}
    assert errors_of(night, "klaviyo").is_empty()
    deliver(klaviyo, night, "klaviyo", list_id="LIST1")
    assert klaviyo.received == {"ok1": 1, "ok2": 1}
    assert klaviyo.bodies[-1]["data"]["relationships"] == {"lists": {"data": [{"type": "list", "id": "LIST1"}]}}


def test_requests_keep_klaviyos_pace(klaviyo: Klaviyo, tmp_path: Path) -> None:
    time = Time()
    deliver(klaviyo, klaviyo_night(tmp_path, ["ok1"], ["ok2"], ["ok3"]), "klaviyo", time)
    assert len(klaviyo.requests) == 7
    assert time.now - 1000 == pytest.approx(6 * 0.4)


def test_bodies_keep_klaviyos_limits(klaviyo: Klaviyo, tmp_path: Path) -> None:
    ids = [f"ok{number}" for number in range(10_001)]
    journal = deliver(klaviyo, klaviyo_night(tmp_path, ids), "klaviyo")
    assert states(journal) == {"1:1-10000": "acknowledged", "1:10001": "acknowledged"}
    assert klaviyo.received == dict.fromkeys(ids, 1)


def test_a_profile_that_is_too_large_or_nameless_is_not_sent(klaviyo: Klaviyo, tmp_path: Path) -> None:
    bodies = [json.loads(line) for line in klaviyo_lines(["ok1", "ok2", "ok3"]).splitlines()]
    profiles = bodies[0]["data"]["attributes"]["profiles"]["data"]
    profiles[0]["attributes"]["properties"]["rec_1_name"] = "x" * 100_000
    del profiles[1]["attributes"]["external_id"], profiles[1]["attributes"]["email"]
    content = f"{json.dumps(bodies[0])}\n".encode()
    night = published(tmp_path, "klaviyo", {KLAVIYO_FILE: content}, ["ok1", "ok2", "ok3"])
    assert states(deliver(klaviyo, night, "klaviyo")) == {"1:1": "declined", "1:2": "declined", "1:3": "acknowledged"}
    assert klaviyo.received == {"ok3": 1}
    assert errors_of(night, "klaviyo").select("customer_id", "code").rows() == [
        ("ok1", "too_large"),
        (None, "no_identifier"),
    ]


# Braze


def test_braze_takes_attributes_of_people_it_knows(braze: Braze, tmp_path: Path) -> None:
    ids = [f"ok{number}" for number in range(120)]
    journal = deliver(braze, braze_night(tmp_path, ids), "braze")
    assert braze.received == dict.fromkeys(ids, 1)
    assert states(journal) == {"1": "acknowledged", "2": "acknowledged", "3": "acknowledged"}
    assert [entry.receipt for entry in journal.entries] == [
        "50 of 50 processed",
        "50 of 50 processed",
        "20 of 20 processed",
    ]
    assert braze.bodies[0]["attributes"][0] == {
        "rec_1_id": "item-ok0",
        "external_id": "ok0",
        "_update_existing_only": True,
    }


def test_whoever_wants_people_made_says_so(braze: Braze, tmp_path: Path) -> None:
    deliver(braze, braze_night(tmp_path, ["ok1"]), "braze", update_existing_only=False)
    assert braze.bodies[0]["attributes"][0]["_update_existing_only"] is False


def test_records_that_braze_does_not_take_are_on_record_without_values(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1", "late2", "ok3"], rec_1_id="p1", rec_2_id=1)
    journal = deliver(braze, night, "braze")
    assert states(journal) == {"1": "acknowledged"}
    assert journal.entries[0].receipt == "2 of 3 processed"
    assert errors_of(night, "braze").select("customer_id", "code", "detail").rows() == [
        ("late2", "refused", "'rec_1_id' of … is …, which is not valid")
    ]


def test_bad_records_keep_no_other_from_arriving(braze: Braze, tmp_path: Path) -> None:
    ids = [f"ok{number}" for number in range(70)]
    ids[3], ids[30], ids[31], ids[69] = "named3", "fatal30", "late31", "fatal69"
    night = braze_night(tmp_path, ids)
    deliver(braze, night, "braze")
    refused = {"named3", "fatal30", "fatal69"}
    assert braze.received == {each: 1 for each in ids if each not in refused}
    assert {*errors_of(night, "braze")["customer_id"]} == {*refused, "late31"}


def test_a_null_inside_a_nested_attribute_would_drop_everybodys_so_it_stays(braze: Braze, tmp_path: Path) -> None:
    good, bad = braze_lines(["ok1"], size={"top": 38}), braze_lines(["ok2"], size={"top": None}, other=None)
    night = published(tmp_path, "braze", {BRAZE_FILE: good + bad}, ["ok1", "ok2"])
    deliver(braze, night, "braze")
    assert braze.received == {"ok1": 1}
    assert errors_of(night, "braze").select("customer_id", "code", "detail").rows() == [
        ("ok2", "null_in_nested", "size")
    ]


def test_a_plain_null_clears_an_attribute_and_leaves(braze: Braze, tmp_path: Path) -> None:
    clear, own = braze_lines(["gone1"], rec_1_id=None), braze_lines(["ok1"])
    files = {"braze_20260331.jsonl": own, "braze_clear_20260331.jsonl": clear, "braze_remove_20260331.jsonl": clear}
    night = published(tmp_path, "braze", {**files, "braze_catalogue_20260331.csv": b'"id"\n'}, ["ok1"])
    deliver(braze, night, "braze")
    assert [record["external_id"] for body in braze.bodies for record in body["attributes"]] == ["gone1", "ok1"]
    assert braze.bodies[0]["attributes"][0]["rec_1_id"] is None


def test_a_contract_that_takes_fewer_updates_is_answered_by_smaller_requests(tmp_path: Path) -> None:
    with running(braze := Braze(most=20)):
        ids = [f"ok{number}" for number in range(75)]
        deliver(braze, braze_night(tmp_path, ids), "braze", updates=75)
        assert braze.received == dict.fromkeys(ids, 1)
    with pytest.raises(ConfigError, match="a number from 1 to 75"):
        carrier_to(braze, braze_night(tmp_path, ids), "braze", updates=76)


def test_braze_cannot_tell_so_a_request_without_an_answer_stays_in_doubt(braze: Braze, tmp_path: Path) -> None:
    doubtful = [fault for fault in FAULTS if not fault.startswith("429")]
    assert len(doubtful) == 7
    for number, fault in enumerate(doubtful):
        night = braze_night(tmp_path / fault, [f"ok{number}x{each}" for each in range(51)])
        braze.faults.append(fault)
        for _ in range(2):
            journal = deliver(braze, night, "braze", answer=SILENCE)
            assert states(journal) == {"1": "in_doubt", "2": "acknowledged"}, fault
    assert max(braze.received.values()) == 1


def test_people_known_by_address_are_found_in_the_ledger(braze: Braze, tmp_path: Path) -> None:
    rows = [{"EMAIL": "Late1@example.com", "PAYLOAD": '{"rec_1_id": "a"}'}, {"EMAIL": "nobody@x.y", "PAYLOAD": "[]"}]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    night = published(tmp_path, "braze", {BRAZE_FILE: content}, ["late1"])
    braze.received.clear()
    deliver(braze, night, "braze")
    assert braze.bodies[0]["attributes"][0]["email"] == "Late1@example.com"
    assert errors_of(night, "braze").select("customer_id", "code").rows() == [(None, "no_payload")]


# Both


def test_a_busy_tool_is_asked_again_after_as_long_as_it_says(braze: Braze, tmp_path: Path) -> None:
    time = Time()
    braze.faults += ["429", "429_wait", "429_moment", "429"]
    journal = deliver(braze, braze_night(tmp_path, ["ok1"]), "braze", time)
    assert braze.received == {"ok1": 1}
    assert states(journal) == {"1": "acknowledged"}
    assert [seconds for seconds in time.slept if seconds > 0.05] == [1.0, 7.0, 30.0, 8.0]


def test_a_tool_that_stays_busy_ends_the_run_and_nothing_is_in_doubt(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1"])
    braze.faults += ["429"] * 6
    with pytest.raises(Transient, match=r"took nothing in 6 tries.*nothing is in doubt"):
        deliver(braze, night, "braze")
    assert states(Journal.open(night, "braze")) == {"1": "failed"}
    deliver(braze, night, "braze")
    assert braze.received == {"ok1": 1}


def test_where_nobody_listens_nothing_is_in_doubt(tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1"])
    server = Braze()
    server.server_close()
    with pytest.raises(Transient, match="no connection"):
        deliver(server, night, "braze")
    assert states(Journal.open(night, "braze")) == {"1": "failed"}


def test_a_tool_that_stops_answering_does_not_put_every_part_in_doubt(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, [f"ok{number}" for number in range(500)])
    braze.faults += ["500_before"] * 10
    with pytest.raises(Transient, match="3 requests in a row"):
        deliver(braze, night, "braze")
    assert list(states(Journal.open(night, "braze")).values()) == ["in_doubt"] * 3 + ["pending"] * 7


def test_a_tool_that_refuses_everything_is_not_asked_about_everybody(
    braze: Braze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = braze_night(tmp_path, [f"fatal{number}" for number in range(400)])
    monkeypatch.setattr(api_carrier, "REFUSALS_IN_A_ROW", 30)
    with pytest.raises(CannotDeliver, match="30 requests in a row were refused"):
        deliver(braze, night, "braze")
    assert len(braze.requests) == 30


def test_a_wrong_key_ends_the_run_and_nothing_is_in_doubt(braze: Braze, klaviyo: Klaviyo, tmp_path: Path) -> None:
    for server, night, channel in (
        (braze, braze_night(tmp_path / "b", ["ok1"]), "braze"),
        (klaviyo, klaviyo_night(tmp_path / "k", ["ok1"]), "klaviyo"),
    ):
        carrier = carrier_to(server, night, channel)
        carrier.api.client.auth = ("somebody", "else")
        journal = Journal.open(night, channel)
        journal.plan(carrier.parts())
        with pytest.raises(CannotDeliver, match=r"status 401.*does not take this key"):
            carrier.carry(journal.part(journal.entries[0].part), journal)
        assert journal.entries[0].outcome in {Outcome.FAILED, Outcome.PENDING}
        assert not server.received


def test_an_acknowledged_part_never_leaves_again(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1"])
    journal = deliver(braze, night, "braze")
    with pytest.raises(CannotDeliver):
        carrier_to(braze, night, "braze").carry(journal.part(journal.entries[0].part), journal)
    assert braze.received == {"ok1": 1}
    assert len(braze.requests) == 1


def test_a_record_that_the_tool_declines_is_not_offered_again_that_night(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1", "named2"])
    for _ in range(2):
        journal = deliver(braze, night, "braze")
        assert states(journal) == {"1:1": "acknowledged", "1:2": "declined"}
        assert not journal.unsettled
    assert len(braze.requests) == 2
    assert is_delivered(night, "braze")


def test_where_nobody_was_taken_the_night_is_not_delivered_and_can_be_tried_again(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["named1", "named2"])
    journal = deliver(braze, night, "braze")
    assert states(journal) == {"1:1": "declined", "1:2": "declined"}
    assert not is_delivered(night, "braze")
    with pytest.raises(CannotDeliver, match="not delivered"):
        stage.require_arrived(journal)
    assert errors_of(night, "braze")["customer_id"].to_list() == ["named1", "named2"]
    braze.judge = lambda body: None  # type: ignore[method-assign]
    assert states(deliver(braze, night, "braze")) == {"1:1": "acknowledged", "1:2": "acknowledged"}
    assert braze.received == {"named1": 1, "named2": 1}
    assert errors_of(night, "braze").is_empty()


def test_a_night_of_which_rows_were_erased_is_not_delivered_any_more(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, [f"ok{number}" for number in range(60)])
    journal = Journal.open(night, "braze")
    journal.plan(carrier_to(braze, night, "braze").parts())
    path = night.audience("braze") / BRAZE_FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:40]))
    manifest = night.audience("braze") / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))
    (night.audience("braze") / "_SUCCESS").write_text(hashlib.sha256(manifest.read_bytes()).hexdigest())
    for entry in journal.entries:
        with pytest.raises(CannotDeliver, match="no longer holds what was to be sent"):
            carrier_to(braze, night, "braze").carry(journal.part(entry.part), journal)
    assert not braze.requests


def test_erased_people_leave_the_errors_too(braze: Braze, tmp_path: Path) -> None:
    night = braze_night(tmp_path, ["ok1", "late2", "late3"])
    deliver(braze, night, "braze")

    class Marks:
        def found(self, rows: pl.DataFrame) -> pl.DataFrame:
            numbered = rows.with_row_index("_row").with_columns(person=pl.lit("p"))
            return (
                numbered.filter(pl.col("customer_id") == "late2") if "customer_id" in rows.columns else numbered.clear()
            )

        def without(self, rows: pl.DataFrame) -> pl.DataFrame:
            return rows.filter(pl.col("customer_id") != "late2") if "customer_id" in rows.columns else rows

    Audiences(night.shop.root, Marks()).redact(date(2026, 4, 1))  # type: ignore[arg-type]
    assert errors_of(night, "braze")["customer_id"].to_list() == ["late3"]


def test_the_stage_delivers_over_the_connection_of_the_environment(
    braze: Braze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stood in for but the tool: the section of the shop file, the variable, the pace, the summary."""
    night = braze_night(tmp_path, [*(f"ok{number}" for number in range(60)), "late1"])
    path = tmp_path / "shop.yaml"
    channel = "{name: braze, kind: braze, format: jsonl, deliver: {to: 'api:braze', connection: braze_eu}}"
    path.write_text(path.read_text().replace("{name: email_file, kind: email_file}", channel))
    night = Night(load_shop(path), night.run_date)
    monkeypatch.setenv("RECSYS_CONNECTION_BRAZE_EU", json.dumps({"host": braze.host, "password": KEY}))
    for _ in range(2):
        done = stage.run(night, "braze")
        assert done["target"] == "api:braze"
        assert (done["parts"], done["acknowledged"], done["in_doubt"]) == (2, 2, 0)
    assert set(braze.received.values()) == {1}
    assert len(braze.received) == 61
    assert errors_of(night, "braze")["customer_id"].to_list() == ["late1"]


# What may be sent at all


def test_nothing_that_subscribes_can_be_sent(braze: Braze, klaviyo: Klaviyo, tmp_path: Path) -> None:
    for number, name in enumerate(("email_subscribe", "push_subscribe", "subscription_groups", "$consent")):
        night = braze_night(tmp_path / str(number), ["ok1"], **{name: "opted_in"})
        with pytest.raises(CannotDeliver, match="would change who is subscribed"):
            deliver(braze, night, "braze")
    body = json.loads(klaviyo_lines(["ok1"]))
    for where in ("subscriptions", "$consent"):
        body["data"]["attributes"]["profiles"]["data"][0]["attributes"][where] = {"email": "SUBSCRIBED"}
        content = f"{json.dumps(body)}\n".encode()
        night = published(tmp_path / where.strip("$"), "klaviyo", {KLAVIYO_FILE: content}, ["ok1"])
        with pytest.raises(CannotDeliver, match="would change who is subscribed"):
            deliver(klaviyo, night, "klaviyo")
        assert states(Journal.open(night, "klaviyo")) == {"1": "pending"}
    assert not [method for method, _ in (*braze.requests, *klaviyo.requests) if method == "POST"]


SUBSCRIBING = (
    "/api/profile-subscription-bulk-create-jobs",
    "/api/profile-subscription-bulk-delete-jobs",
    "/api/profile-suppression-bulk-delete-jobs",
    "/client/subscriptions",
    "/v2/subscription/status/set",
    "/subscription/status/set",
    "/email/status",
    "/api/lists/LIST1/relationships/profiles",
    "/api/profile-bulk-import-jobs/../profile-subscription-bulk-create-jobs",
    "/users/track/../../subscription/status/set",
)


@pytest.mark.parametrize("path", SUBSCRIBING)
def test_no_call_that_subscribes_can_be_made(braze: Braze, klaviyo: Klaviyo, tmp_path: Path, path: str) -> None:
    for carrier in (
        carrier_to(braze, braze_night(tmp_path / "b", ["ok1"]), "braze"),
        carrier_to(klaviyo, klaviyo_night(tmp_path / "k", ["ok1"]), "klaviyo"),
    ):
        with pytest.raises(CannotDeliver, match="not among the calls"):
            carrier.api.post(path, b"{}")
        with pytest.raises(CannotDeliver, match="not among the calls"):
            carrier.api.get(path)
    assert not (*braze.requests, *klaviyo.requests)


def test_words_about_consent_in_a_text_are_words(braze: Braze, tmp_path: Path) -> None:
    for text in ('"subscriptions": everything', ',"email_subscribe":"opted_in"', "consent"):
        require_no_consent(as_json({"attributes": [{"rec_1_name": text}]}), "one")
    with pytest.raises(CannotDeliver):
        require_no_consent(as_json({"a": [{"b": 1, "$consent": ["email"]}]}), "one")
    with pytest.raises(CannotDeliver):
        require_no_consent(as_json(json.loads('{"\\u0024consent": 1}')), "one")


def test_the_key_and_the_people_are_in_no_log_no_error_no_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for server in (Klaviyo(), Braze()):
        with running(server):
            for number, fault in enumerate((*FAULTS, "ok")):
                folder = tmp_path / f"{type(server).__name__}{number}"
                ids = [f"ok{number}zebra", f"late{number}zebra", f"fatal{number}zebra"]
                is_klaviyo = isinstance(server, Klaviyo)
                night = klaviyo_night(folder, ids) if is_klaviyo else braze_night(folder, ids)
                channel = "klaviyo" if is_klaviyo else "braze"
                server.faults.append(fault)
                try:
                    journal = deliver(server, night, channel, answer=SILENCE)
                except (Transient, CannotDeliver) as error:
                    said.append(str(error))
                    journal = Journal.open(night, channel)
                said.append(journal.path.read_text())
                said.append(repr(carrier_to(server, night, channel).api))
            said.append(repr(connection_to(server)))
    text = "\n".join([*said, caplog.text])
    assert "job job-1" in text
    assert "HTTP/1.1" in text or "http11" in text
    assert KEY not in text
    assert "zebra" not in text


def test_a_key_is_not_sent_in_clear() -> None:
    for host, password, said in (
        ("http://rest.example.com", KEY, "would send the key in clear"),
        ("https://rest.example.com", "", "no password"),
        ("", KEY, "no host"),
    ):
        with pytest.raises(ConfigError, match=said) as error:
            connect(
                Connection("tool", host=host, password=SecretStr(password)),
                default=None,
                scheme="Bearer",
                headers={},
                calls=(),
                pace=Pace(0.0),
                clock=Clock(),
            )
        assert KEY not in str(error.value)


def test_other_files_than_json_lines_say_what_to_do(braze: Braze, klaviyo: Klaviyo, tmp_path: Path) -> None:
    night = published(tmp_path / "b", "braze", {BRAZE_FILE: b'"external_id"\n"1"\n'}, [])
    with pytest.raises(CannotDeliver, match="line 1: not a JSON object"):
        deliver(braze, night, "braze")
    night = published(tmp_path / "k", "klaviyo", {KLAVIYO_FILE: b'{"EMAIL": "a@b.c"}\n'}, [])
    with pytest.raises(CannotDeliver, match="not the body of a bulk import"):
        deliver(klaviyo, night, "klaviyo")
    night = published(tmp_path / "e", "braze", {BRAZE_FILE: b""}, [])
    assert states(deliver(braze, night, "braze")) == {}


# Laws

ROWS = st.integers(0, 40)
MOST_STEPS = 140


@given(ROWS, st.sets(st.integers(0, 39)), st.integers(1, 9), st.integers(30, 300))
def test_parts_hold_every_record_once_in_order_and_keep_the_limits(
    rows: int, bad: set[int], most_records: int, most_bytes: int
) -> None:
    records = [{"external_id": str(row), "text": "x" * (row % 7 * 5)} for row in range(rows)]
    batch = Batch("f#1", records, {row: Problem("bad") for row in bad if row < rows})
    slices = batch.slices(most_records, most_bytes)
    assert [record for piece in slices for record in piece.records] == records
    for piece in slices:
        assert len(piece.records) <= most_records
        assert len(piece.records) == 1 or piece.part.bytes <= most_bytes + 2
        assert (piece.problem is not None) == (piece.first in batch.problems)
        assert piece.problem is None or len(piece.records) == 1
        assert slice_of(piece.name, batch) == piece
        if len(piece.records) > 1:
            assert [record for half in piece.halves() for record in half.records] == list(piece.records)
    assert len({piece.name for piece in slices}) == len(slices)


KINDS = st.sampled_from(["ok"] * 8 + ["late", "named", "fatal"])
QUICK = [fault for fault in FAULTS if not fault.startswith("silence")]
MISFORTUNE = st.lists(st.sampled_from(["ok", "ok", *QUICK]), max_size=14)


def check_laws(server: Server, night: Night, channel: str, ids: list[str], journal: Journal, **extra: int) -> None:
    """At most once; what is not in doubt and not refused is there; what is refused is on record."""
    assert not server.wrong
    assert all(count == 1 for count in server.received.values())
    carrier = carrier_to(server, night, channel, **extra)
    in_error = {*errors_of(night, channel)["customer_id"]}
    accounted: list[str] = []
    for entry in journal.entries:
        batch = carrier._batch(entry.part.partition(":")[0])
        people = [carrier.identifier(record)[1] for record in slice_of(entry.part, batch).records]
        accounted += people
        if entry.outcome is Outcome.ACKNOWLEDGED:
            assert all(server.received[each] == 1 for each in people)
            assert {each for each in people if each.startswith("late")} == in_error & {*people}
        elif entry.outcome is Outcome.DECLINED:
            assert all(server.received[each] == 0 for each in people)
            assert {*people} <= in_error
            assert all(each.startswith(("named", "fatal")) for each in people)
        else:
            assert entry.outcome is Outcome.IN_DOUBT
    assert sorted(accounted) == sorted(ids)


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(KINDS, min_size=1, max_size=17), MISFORTUNE)
def test_braze_gets_every_record_at_most_once_and_every_good_one(kinds: list[str], faults: list[str]) -> None:
    ids = [f"{kind}{row:02}" for row, kind in enumerate(kinds)]
    with running(server := Braze()), TemporaryDirectory(dir=memory()) as folder:
        night = braze_night(Path(folder), ids)
        server.faults.extend(faults)
        journal = delivered_at_last(server, night, "braze", updates=5)
        check_laws(server, night, "braze", ids, journal, updates=5)
        doubts = sum(entry.outcome is Outcome.IN_DOUBT for entry in journal.entries)
        assert doubts <= sum(not fault.startswith(("429", "ok")) for fault in faults)


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(KINDS, min_size=1, max_size=6), min_size=1, max_size=4), MISFORTUNE)
def test_klaviyo_gets_every_record_at_most_once_and_doubt_is_settled_by_its_jobs(
    kinds: list[list[str]], faults: list[str]
) -> None:
    bodies = [[f"{kind}{line}{row}" for row, kind in enumerate(each)] for line, each in enumerate(kinds)]
    ids = [each for body in bodies for each in body]
    with running(server := Klaviyo()), TemporaryDirectory(dir=memory()) as folder:
        night = klaviyo_night(Path(folder), *bodies)
        server.faults.extend(faults)
        journal = delivered_at_last(server, night, "klaviyo")
        check_laws(server, night, "klaviyo", ids, journal)
        carrier = carrier_to(server, night, "klaviyo")
        for entry in journal.entries:
            if entry.outcome is Outcome.IN_DOUBT:
                batch = carrier._batch(entry.part.partition(":")[0])
                people = [carrier.identifier(record)[1] for record in slice_of(entry.part, batch).records]
                is_there = {server.received[each] == 1 for each in people}
                assert is_there == {False} or any(each.startswith("late") for each in people)


def memory() -> Path | None:
    """A folder in memory where there is one: every line of a journal is synced."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else None


@pytest.mark.parametrize("tool", ["klaviyo", "braze"])
def test_killed_and_run_again_nobody_gets_anything_twice(tool: str) -> None:
    kill_everywhere(tool, every=9)


@pytest.mark.thorough
@pytest.mark.parametrize("tool", ["klaviyo", "braze"])
def test_killed_at_any_step_and_run_again_nobody_gets_anything_twice(tool: str) -> None:
    kill_everywhere(tool, every=1)


def kill_everywhere(tool: str, every: int) -> None:
    """Kill -9 before, after and in the middle of every line of the journal, and before and after every request."""
    kinds = [["ok", "named"], ["fatal", "late"], ["ok"]]
    is_klaviyo = tool == "klaviyo"
    extra = {} if is_klaviyo else {"updates": 2}
    with running(server := Klaviyo() if is_klaviyo else Braze()), TemporaryDirectory(dir=memory()) as folder:
        nights = {}
        for step in range(0, MOST_STEPS, every):
            bodies = [[f"{kind}{step}x{line}{row}" for row, kind in enumerate(each)] for line, each in enumerate(kinds)]
            ids, below = [each for body in bodies for each in body], Path(folder) / str(step)
            nights[step] = (klaviyo_night(below, *bodies) if is_klaviyo else braze_night(below, ids)), ids
        script = Path(__file__).with_name("api_delivery_killed.py")
        command = [sys.executable, str(script), tool, server.host, folder, str(every)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
        assert done.returncode == 0, done.stderr[-3000:]
        steps = json.loads(done.stdout)["steps"]
        assert MOST_STEPS > steps > 40
        doubts = 0
        for step in range(0, steps, every):
            night, ids = nights[step]
            journal = Journal.open(night, tool)
            check_laws(server, night, tool, ids, journal, **extra)
            doubts += sum(entry.outcome is Outcome.IN_DOUBT for entry in journal.entries)
        assert 0 < doubts < steps / every
