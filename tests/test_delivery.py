"""Delivery to a folder: what arrives, what does not, and what is never sent twice."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_faults import DELIVERED, MARKER, Inbox, every_kill, night_with_target, outcomes
from publisher_faults import CHANNEL, TODAY, night_below

from recsys.delivery import approval
from recsys.delivery.audiences import audience_of, channels
from recsys.delivery.journal import Journal, State, Step, is_delivered, path_of
from recsys.delivery.redeliver import redeliver
from recsys.delivery.stage import run
from recsys.delivery.targets import Target
from recsys.errors import (
    AlreadyPublished,
    CannotDeliver,
    ConfigError,
    DeliveryInDoubt,
    NotApproved,
    StageInputMissing,
    Transient,
)
from recsys.files import sha256_of
from recsys.manifest import MANIFEST, SUCCESS, Manifest, Redaction
from recsys.night import Night


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def night(tmp_path: Path, inbox: Inbox) -> Night:
    return night_with_target(tmp_path / "shop", f"file://{inbox.folder}")


def test_a_night_is_delivered_whole_with_the_manifest_last(night: Night, inbox: Inbox) -> None:
    counts = run(night, CHANNEL)
    assert counts == {
        "channel": CHANNEL,
        "target": f"file://{inbox.folder}",
        "parts": 3,
        "acknowledged": 3,
        "failed": 0,
        "declined": 0,
        "in_doubt": 0,
        "pending": 0,
    }
    assert sorted(inbox.lying()) == sorted(DELIVERED)
    for name in ("one.csv", "two.csv"):
        assert (inbox.folder / name).read_bytes() == (night.audience(CHANNEL) / name).read_bytes()
    assert (inbox.folder / MARKER).read_bytes() == (night.audience(CHANNEL) / MANIFEST).read_bytes()
    assert is_delivered(night, CHANNEL)
    lines = [json.loads(line) for line in path_of(night, CHANNEL).read_text().splitlines()]
    assert [(line["part"], line["state"], line["step"]) for line in lines[-4:]] == [
        (MARKER, "reserved", "reserved"),
        (MARKER, "reserved", "sending"),
        (MARKER, "exported", "sent"),
        (MARKER, "acknowledged", "confirmed"),
    ]
    assert lines[-1]["receipt"] == f"sha256 {sha256_of(inbox.folder / MARKER)}"


def test_delivered_again_nothing_happens_whatever_became_of_the_files(night: Night, inbox: Inbox) -> None:
    run(night, CHANNEL)
    before = path_of(night, CHANNEL).read_bytes()
    inbox.take()
    shutil.rmtree(inbox.folder)
    assert run(night, CHANNEL)["acknowledged"] == 3
    assert redeliver(night, CHANNEL)["acknowledged"] == 3
    assert path_of(night, CHANNEL).read_bytes() == before


def test_without_a_section_deliver_there_is_nothing_to_deliver(tmp_path: Path) -> None:
    night = night_below(tmp_path)
    assert channels(night) == []
    with pytest.raises(ConfigError, match="has no section deliver"):
        run(night, CHANNEL)


def test_what_is_not_published_is_not_delivered(night: Night) -> None:
    (night.audience(CHANNEL) / SUCCESS).unlink()
    with pytest.raises(StageInputMissing, match="Run export first"):
        run(night, CHANNEL)


def test_files_that_changed_after_publishing_are_not_delivered(night: Night, inbox: Inbox) -> None:
    (night.audience(CHANNEL) / "one.csv").write_text("other")
    with pytest.raises(AlreadyPublished):
        run(night, CHANNEL)
    assert inbox.lying() == []


def test_a_folder_that_is_not_there_is_not_made(night: Night, inbox: Inbox) -> None:
    shutil.rmtree(inbox.folder)
    with pytest.raises(CannotDeliver, match="The folder must be there"):
        run(night, CHANNEL)
    assert not inbox.folder.exists()
    inbox.folder.mkdir()
    assert redeliver(night, CHANNEL)["acknowledged"] == 3


def test_another_file_under_the_name_is_never_replaced(night: Night, inbox: Inbox) -> None:
    """The other part arrives all the same, the manifest waits."""
    (inbox.folder / "one.csv").write_text("somebody else's")
    with pytest.raises(CannotDeliver, match=r"one\.csv \(another file has its name"):
        run(night, CHANNEL)
    assert (inbox.folder / "one.csv").read_text() == "somebody else's"
    assert outcomes(night) == {"one.csv": "failed", "two.csv": "acknowledged", MARKER: "pending"}
    (inbox.folder / "one.csv").unlink()
    assert redeliver(night, CHANNEL)["acknowledged"] == 3


def test_what_a_person_put_there_by_hand_counts(night: Night, inbox: Inbox) -> None:
    shutil.copy(night.audience(CHANNEL) / "one.csv", inbox.folder)
    run(night, CHANNEL)
    entry = Journal.open(night, CHANNEL).entry("one.csv")
    assert (entry.state, entry.reason) == (State.ACKNOWLEDGED, "it was there already")


def test_a_damaged_upload_gets_no_final_name(night: Night, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Target.upload

    def damage(self: Target, source: Path, name: str) -> None:
        real(self, source, name)
        if "one.csv" in name:
            path = Path(self.folder) / name
            path.write_bytes(path.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(Target, "upload", damage)
    with pytest.raises(Transient, match=r"one\.csv arrived as sha256"):
        run(night, CHANNEL)
    assert "one.csv" not in inbox.lying()
    monkeypatch.undo()
    assert run(night, CHANNEL)["acknowledged"] == 3
    assert [path.name for path in inbox.folder.iterdir() if path.name.startswith(".")] == []


def in_doubt(night: Night, inbox: Inbox, name: str = "one.csv") -> None:
    """As after a crash between naming and noting it, when a tool was quicker than the next attempt."""
    journal = Journal.open(night, CHANNEL, f"file://{inbox.folder}")
    audience = audience_of(night, CHANNEL)
    from recsys.delivery.stage import carrier_of, setting_of

    journal.plan(carrier_of(audience, setting_of(night, CHANNEL)).parts())
    journal.append(name, State.RESERVED, Step.SENDING)
    inbox.taken.append(name)


def test_what_is_in_doubt_is_reported_and_not_sent(night: Night, inbox: Inbox) -> None:
    in_doubt(night, inbox)
    for attempt in (run, redeliver, run):
        with pytest.raises(DeliveryInDoubt, match=r"whether one\.csv arrived at file://.*--settle delivered"):
            attempt(night, CHANNEL)
        assert inbox.lying() == ["two.csv"]
    assert outcomes(night) == {"one.csv": "in_doubt", "two.csv": "acknowledged", MARKER: "pending"}


def test_a_person_says_it_was_delivered_and_the_rest_follows(night: Night, inbox: Inbox) -> None:
    in_doubt(night, inbox)
    assert redeliver(night, CHANNEL, "delivered", ["one.csv"])["acknowledged"] == 3
    assert inbox.lying() == [MARKER, "two.csv"]
    assert Journal.open(night, CHANNEL).entry("one.csv").reason == "a person has looked: delivered"


def test_a_person_says_it_is_lost_and_it_is_sent_once(night: Night, inbox: Inbox) -> None:
    in_doubt(night, inbox)
    assert redeliver(night, CHANNEL, "lost", ["one.csv"])["acknowledged"] == 3
    assert sorted(inbox.lying()) == sorted(DELIVERED)
    with pytest.raises(CannotDeliver, match=r"one\.csv to settle; name parts that are in doubt: none is"):
        redeliver(night, CHANNEL, "lost", ["one.csv"])


def test_the_targets_own_word_goes_before_a_persons(night: Night, inbox: Inbox) -> None:
    in_doubt(night, inbox)
    shutil.copy(night.audience(CHANNEL) / "one.csv", inbox.folder)
    redeliver(night, CHANNEL, "lost", ["one.csv"])
    assert Journal.open(night, CHANNEL).entry("one.csv").receipt.startswith("sha256")


@pytest.mark.parametrize("parts", [[], ["two.csv"], ["one.csv", "three.csv"]])
def test_only_named_parts_in_doubt_can_be_settled(night: Night, inbox: Inbox, parts: list[str]) -> None:
    in_doubt(night, inbox)
    before = path_of(night, CHANNEL).read_bytes()
    with pytest.raises(CannotDeliver, match="Nothing was changed"):
        redeliver(night, CHANNEL, "lost", parts)
    assert path_of(night, CHANNEL).read_bytes() == before


def test_doubt_about_one_target_is_not_settled_by_asking_another(night: Night, inbox: Inbox, tmp_path: Path) -> None:
    in_doubt(night, inbox)
    other = Inbox(tmp_path / "other")
    shutil.copy(night.audience(CHANNEL) / "one.csv", other.folder)
    moved = night_with_target(night.shop.folder, f"file://{other.folder}")
    with pytest.raises(DeliveryInDoubt):
        run(moved, CHANNEL)
    assert outcomes(moved)["one.csv"] == "in_doubt"


def test_after_an_erasure_nothing_more_is_delivered(night: Night, inbox: Inbox) -> None:
    folder = night.audience(CHANNEL)
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    redacted = manifest.model_copy(update={"redacted": (Redaction(on=TODAY, rows=1),)})
    (folder / MANIFEST).write_bytes(redacted.content)
    (folder / SUCCESS).write_text(sha256_of(folder / MANIFEST) + "\n")
    counts = run(night, CHANNEL)
    assert (counts["parts"], counts["delivered"]) == (0, "no more; rows were erased since")
    assert inbox.lying() == []


def test_files_that_need_approval_leave_when_exactly_they_were_approved(tmp_path: Path, inbox: Inbox) -> None:
    night = night_with_target(tmp_path / "shop", f"file://{inbox.folder}", approve=True)
    with pytest.raises(NotApproved, match="nobody has approved the files of 2026-03-31"):
        run(night, CHANNEL)
    with pytest.raises(NotApproved):
        redeliver(night, CHANNEL)
    path = approval.path_of(night, CHANNEL)
    approval.approve(audience_of(night, CHANNEL), "ann")
    approved = json.loads(path.read_text())
    assert (approved["by"], approved["manifest_sha256"]) == ("ann", sha256_of(night.audience(CHANNEL) / MANIFEST))
    path.write_text(json.dumps(approved | {"manifest_sha256": "0" * 64}))
    with pytest.raises(NotApproved):
        run(night, CHANNEL)
    assert inbox.lying() == []
    path.write_text(json.dumps(approved))
    approval.approve(audience_of(night, CHANNEL), "ben")
    assert json.loads(path.read_text())["by"] == "ann"
    assert run(night, CHANNEL)["acknowledged"] == 3


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: every line of a journal waits for its disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.thorough
@pytest.mark.forks
def test_killed_at_any_step_nothing_arrives_twice_and_nothing_is_lost(quick_disk: Path) -> None:
    """At every step: before it, after it and in the middle of what it writes; with a quick tool and with a slow one."""

    def make(name: str) -> tuple[Night, Inbox]:
        inbox = Inbox(quick_disk / name / "inbox")
        return night_with_target(quick_disk / name / "shop", f"file://{inbox.folder}"), inbox

    found = every_kill(make)
    assert found.wrong == []
    assert found.trials == len(found.steps) * 6 > 200
    assert 0 < found.in_doubt <= 3 * 6  # between naming a file and noting it, when a tool was quicker
