"""The journal of a delivery: what it says after every step and every crash, and what it refuses."""

import json
from pathlib import Path

import pytest
from publisher_faults import night_below

from recsys.delivery.journal import Journal, Outcome, Part, State, Step, is_delivered, outcome, path_of
from recsys.errors import CannotDeliver, DeliveryInDoubt, StateDamaged
from recsys.night import Night

ONE = Part("one.csv", "a" * 64, 3, 40)
TWO = Part("two.csv", "b" * 64, 0, 14)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return night_below(tmp_path)


def opened(night: Night, *parts: Part) -> Journal:
    journal = Journal.open(night, "email_file", "file:///srv/outgoing")
    journal.plan(parts)
    return journal


def again(night: Night) -> Journal:
    """The journal as the next process reads it."""
    return Journal.open(night, "email_file")


def test_a_channel_that_never_delivered_has_no_outcome(night: Night) -> None:
    assert outcome(night, "email_file") == {}
    assert not is_delivered(night, "email_file")
    assert not path_of(night, "email_file").exists()


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], Outcome.PENDING),
        ([(State.RESERVED, Step.RESERVED)], Outcome.PENDING),
        ([(State.RESERVED, Step.SENDING)], Outcome.IN_DOUBT),
        ([(State.RESERVED, Step.SENDING), (State.EXPORTED, Step.SENT)], Outcome.IN_DOUBT),
        ([(State.RESERVED, Step.SENDING), (State.FAILED, Step.REFUSED)], Outcome.FAILED),
        ([(State.RESERVED, Step.SENDING), (State.RESERVED, Step.RESERVED)], Outcome.PENDING),
        ([(State.RESERVED, Step.SENDING), (State.ACKNOWLEDGED, Step.CONFIRMED)], Outcome.ACKNOWLEDGED),
    ],
)
def test_what_is_known_follows_from_the_newest_line(night: Night, steps: list, expected: Outcome) -> None:
    journal = opened(night, ONE, TWO)
    for state, step in steps:
        journal.append("one.csv", state, step)
    assert outcome(night, "email_file") == {"one.csv": expected, "two.csv": Outcome.PENDING}
    assert again(night).entry("one.csv") == journal.entry("one.csv")


def test_a_night_is_delivered_when_every_part_is_acknowledged(night: Night) -> None:
    journal = opened(night, ONE, TWO)
    journal.append("one.csv", State.ACKNOWLEDGED, Step.CONFIRMED, receipt="sha256")
    assert not is_delivered(night, "email_file")
    journal.append("two.csv", State.ACKNOWLEDGED, Step.CONFIRMED)
    assert is_delivered(night, "email_file")
    assert not is_delivered(night, "crm_file")


def test_what_may_have_arrived_cannot_be_sent_again(night: Night) -> None:
    journal = opened(night, ONE)
    journal.append("one.csv", State.RESERVED, Step.SENDING)
    for anybody in (journal, again(night)):
        with pytest.raises(DeliveryInDoubt, match=r"one\.csv may have arrived"):
            anybody.append("one.csv", State.RESERVED, Step.SENDING)
    journal = again(night)
    journal.append("one.csv", State.RESERVED, Step.RESERVED, reason="the target answered 429")
    journal.append("one.csv", State.RESERVED, Step.SENDING)


def test_what_is_acknowledged_stays_so(night: Night) -> None:
    journal = opened(night, ONE)
    journal.append("one.csv", State.ACKNOWLEDGED, Step.CONFIRMED)
    for state, step in [(State.RESERVED, Step.SENDING), (State.FAILED, Step.SETTLED), (State.EXPORTED, Step.SENT)]:
        with pytest.raises(CannotDeliver, match=r"one\.csv is confirmed"):
            journal.append("one.csv", state, step)
    with pytest.raises(CannotDeliver):
        journal.split("one.csv", [TWO])


def test_other_bytes_under_a_name_on_record_are_refused(night: Night) -> None:
    opened(night, ONE)
    again(night).plan([ONE])
    assert path_of(night, "email_file").read_text().count("\n") == 1
    with pytest.raises(CannotDeliver, match=r"one\.csv is on record with other bytes"):
        again(night).plan([Part("one.csv", "c" * 64, 3, 40)])


def test_a_part_that_is_split_counts_through_its_parts(night: Night) -> None:
    journal = opened(night, ONE)
    journal.append("one.csv", State.RESERVED, Step.SENDING)
    with pytest.raises(CannotDeliver, match="may have arrived"):
        journal.split("one.csv", [TWO])
    journal.append("one.csv", State.FAILED, Step.REFUSED, reason="400")
    journal.split("one.csv", [Part("one.csv.1", "d" * 64, 1, 20), Part("one.csv.2", "e" * 64, 2, 30)])
    assert outcome(night, "email_file") == {"one.csv.1": Outcome.PENDING, "one.csv.2": Outcome.PENDING}
    with pytest.raises(CannotDeliver):
        journal.append("one.csv", State.RESERVED, Step.SENDING)


def test_a_part_that_was_never_planned_cannot_be_delivered(night: Night) -> None:
    with pytest.raises(CannotDeliver, match=r"no part 'three\.csv'"):
        opened(night, ONE).append("three.csv", State.RESERVED, Step.SENDING)


def test_a_line_that_a_crash_cut_off_was_not_written(night: Night) -> None:
    """At every length that the last line can have been cut to."""
    journal = opened(night, ONE)
    whole = path_of(night, "email_file").read_bytes()
    journal.append("one.csv", State.RESERVED, Step.SENDING)
    longer = path_of(night, "email_file").read_bytes()
    for end in range(len(whole), len(longer)):
        path_of(night, "email_file").write_bytes(longer[:end])
        assert outcome(night, "email_file") == {"one.csv": Outcome.PENDING}
        again(night).append("one.csv", State.RESERVED, Step.RESERVED)
        lines = path_of(night, "email_file").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == ["planned", "reserved"]


def test_a_damaged_journal_stops_everything(night: Night) -> None:
    opened(night, ONE, TWO)
    path = path_of(night, "email_file")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b'{"part": "one\n' + lines[1])
    with pytest.raises(StateDamaged, match="nothing more leaves"):
        again(night)


def test_of_two_who_opened_it_the_second_to_write_is_stopped(night: Night) -> None:
    opened(night, ONE)
    first, second = again(night), again(night)
    first.append("one.csv", State.RESERVED, Step.SENDING)
    with pytest.raises(StateDamaged, match="something else has written to it"):
        second.append("one.csv", State.RESERVED, Step.SENDING)
    assert path_of(night, "email_file").read_text().count("sending") == 1


def test_the_journal_is_private(night: Night) -> None:
    opened(night, ONE)
    path = path_of(night, "email_file")
    assert [p.stat().st_mode & 0o077 for p in (path, path.parent, path.parent.parent)] == [0, 0, 0]
