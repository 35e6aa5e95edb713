"""The search for settings: it starts from what holds, goes on where it was cut off, and says the same each time."""

import os
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from math import log
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twostage_shop import END, SETTINGS, history, lesson

from recsys.evaluation import tuning
from recsys.evaluation.scoreboard import Task
from recsys.evaluation.tuning import Exercise, search
from recsys.evaluation.volume import degradation, lines_per_week
from recsys.lists import Features, Kept
from recsys.model_settings import Recommend
from recsys.models.topics import NO_PRODUCTS
from recsys.ranking import Limits
from recsys.topic_rules import TopicRules
from recsys.twostage.candidates import Counts

START = Recommend(k=3, seed=5)


@dataclass
class Peak:
    """An exercise whose answer is known: a half-life of 100 days is best."""

    fingerprint: str = "peak"
    asked: list[int] = field(default_factory=list)

    def ndcg(self, settings: Recommend) -> float:
        self.asked.append(settings.half_life_days)
        return 1 - abs(log(settings.half_life_days / 100)) / 10


def tried(exercise: Peak, trials: int, journal: Path) -> tuple[Recommend, list[dict]]:
    return search([exercise], START, trials, journal, lambda _said: None)


def test_it_starts_from_what_holds_and_finds_better(tmp_path: Path) -> None:
    exercise = Peak()
    best, trials = tried(exercise, 15, tmp_path / "journal")
    assert exercise.asked[0] == START.half_life_days
    assert len(exercise.asked) == len(trials) == 15
    assert max(trial["ndcg"] for trial in trials) == pytest.approx(exercise.ndcg(best), abs=1e-6)
    assert abs(log(best.half_life_days / 100)) < abs(log(START.half_life_days / 100))
    assert (best.k, best.seed) == (START.k, START.seed)


def test_cut_off_it_goes_on_with_what_is_done_and_ends_the_same(tmp_path: Path) -> None:
    first, again, whole = Peak(), Peak(), Peak()
    tried(first, 3, tmp_path / "journal")
    found = tried(again, 8, tmp_path / "journal")
    assert len(again.asked) == 5
    assert found == tried(whole, 8, tmp_path / "another")
    assert whole.asked == first.asked + again.asked


@dataclass
class Killed(Peak):
    """The process ends in the middle of a trial, with nothing said of that trial."""

    at: int = 1

    def ndcg(self, settings: Recommend) -> float:
        value = super().ndcg(settings)
        if len(self.asked) == self.at:
            os._exit(9)
        return value


@pytest.mark.parametrize("at", [1, 4, 8])
def test_killed_within_a_trial_it_makes_the_same_trials_as_in_one_go(tmp_path: Path, at: int) -> None:
    whole, again = Peak(), Peak()
    wanted = tried(whole, 8, tmp_path / "whole")
    process = get_context("spawn").Process(target=tried, args=(Killed(at=at), 8, tmp_path / "journal"))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert tried(again, 8, tmp_path / "journal") == wanted
    assert again.asked == whole.asked[at - 1 :]


def test_cut_off_while_it_writes_down_a_trial_it_makes_that_trial_again(tmp_path: Path) -> None:
    wanted = tried(Peak(), 5, tmp_path / "whole")
    journal = tmp_path / "journal"
    tried(Peak(), 3, journal)
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Peak()
    assert tried(again, 5, journal) == wanted
    assert len(again.asked) == 3


def test_other_data_is_another_search(tmp_path: Path) -> None:
    tried(Peak(), 2, tmp_path / "journal")
    other = Peak(fingerprint="another")
    tried(other, 2, tmp_path / "journal")
    assert len(other.asked) == 2


def features(seed: int) -> Features:
    """Of the toy shop 20 days before its end."""
    past, nothing = history().before(lesson(20).history.end), pl.DataFrame(schema={"customer_id": pl.String})
    by_sales = past.events.group_by("product_id").len().sort("len", "product_id", descending=[True, False])
    return Features(
        settings=Recommend(seed=seed, threads=1),
        end=END,
        folder=Path("nowhere"),
        interactions=nothing,
        products=past.products,
        customers=nothing,
        popularity=by_sales.select("product_id", rank=pl.int_range(1, pl.len() + 1)),
        popularity_by_country=nothing,
        product_topics=NO_PRODUCTS,
        rested_products=nothing,
        limits=Limits(TopicRules(nothing, NO_PRODUCTS)),
        kept=Kept(past),
    )


def exercise(seed: int) -> Exercise:
    """The toy shop 20 days before its end, and what was bought since."""
    bought = lesson(20).bought.unique()
    return Exercise.of(features(seed), Task("next", bought, bought.clear(), may_repeat=True))


def test_a_pool_is_made_once_whatever_the_settings_of_the_lists() -> None:
    known = features(1)
    pool = known.pool(SETTINGS)
    assert replace(known, settings=START).pool(replace(SETTINGS, trees=7)) is pool
    assert known.pool(replace(SETTINGS, counts=Counts(taste=3))) is not pool


def test_of_too_many_customers_a_seeded_draw_is_practised_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = exercise(1)
    assert whole.history.events.equals(history().before(whole.history.end).events)
    monkeypatch.setattr(tuning, "MOST_LEARNERS", 10)
    some, again, other = exercise(1), exercise(1), exercise(2)
    learnt_from = some.history.events["customer_id"].unique().sort()
    assert len(learnt_from) == 10
    assert some.task.customers.is_in(learnt_from.implode()).all()
    assert some.fingerprint == again.fingerprint != other.fingerprint
    assert 0 < some.ndcg(START) <= 1


WEEKS = {"2026-03-02": 100, "2026-03-09": 100, "2026-03-16": 40}


@pytest.mark.parametrize(
    ("now", "then", "windows", "fault"),
    [
        (WEEKS, WEEKS, [100, 100], None),
        (WEEKS, WEEKS, [10, 100], "the last window has 10 order lines, the ones before have 100"),
        (WEEKS | {"2026-03-23": 5}, WEEKS, [90, 100], None),
        ({"2026-03-02": 95, "2026-03-09": 86}, WEEKS, [100], None),
        ({"2026-03-02": 50, "2026-03-09": 50}, WEEKS, [100], "of 200 order lines that were known when the champion"),
        ({}, WEEKS, [100], "0 are left"),
        (WEEKS, None, [100, 90, 110], None),
        (WEEKS, None, [49, 90, 110], "the last window has 49 order lines, the ones before have 100"),
        (WEEKS, None, [100, 40, 100, 100], "window 2 from the end has 40 order lines"),
        (WEEKS, None, [49], None),
        ({}, None, [], None),
    ],
)
def test_degraded_data_is_recognised(now, then, windows, fault) -> None:
    said = degradation(now, then, windows)
    assert said is None if fault is None else fault in said


def weekly(lines: list[int]) -> dict[str, int]:
    """So many lines per week, and a last week that is not over."""
    return {(date(2024, 1, 1) + timedelta(weeks=week)).isoformat(): count for week, count in enumerate([*lines, 3])}


def windows_of(lines: list[int]) -> list[int]:
    """Lines of the last four windows of four weeks, the last one first."""
    return [sum(lines[len(lines) - 4 * back :][:4]) for back in range(1, 5)]


def said_of(lines: list[int], then: list[int] | None) -> str | None:
    return degradation(weekly(lines), None if then is None else weekly(then), windows_of(lines))


USUAL = [1000] * 40


@pytest.mark.parametrize("then", [None, USUAL, USUAL[:-4], USUAL[:-1]])
def test_what_the_last_window_lost_is_noticed_with_a_champion_and_without(then: list[int] | None) -> None:
    for left in (500, 300, 100, 0):
        said = said_of([*USUAL[:-4], *[left] * 4], then)
        assert said is not None, left
        assert f"{left:,}" in said or f"{4 * left:,}" in said


@pytest.mark.parametrize("then", [None, USUAL[:-1]])
def test_one_new_week_with_few_lines_is_noticed(then: list[int] | None) -> None:
    said = said_of([*USUAL[:-1], 300], then)
    assert said == "the week of 2024-09-30 has 300 order lines, the ones before have 1,000"
    assert said_of([*USUAL[:-1], 700], then) is None


def test_weeks_since_the_champion_are_looked_at_until_nothing_is_judged_by_them_any_more() -> None:
    poor = [*USUAL[:25], 200, *USUAL[26:]]
    assert said_of(poor[:30], USUAL[:20]) == "the week of 2024-06-24 has 200 order lines, the ones before have 1,000"
    assert said_of(poor, USUAL[:20]) is None


def test_one_old_week_that_is_gone_is_noticed_and_an_erasure_from_a_small_week_is_not() -> None:
    said = said_of([*USUAL[:9], 0, *USUAL[10:]], USUAL)
    assert said is not None
    assert said.startswith("of 1,000 order lines of the week of 2024-03-04 that were known")
    assert said_of([*USUAL[:9], 7, *USUAL[10:]], [*USUAL[:9], 12, *USUAL[10:]]) is None


def test_a_january_as_quiet_as_the_last_one_is_no_loss() -> None:
    year = [*[1000] * 44, *[2500] * 8]
    january = [*[900] * 4, *year[4:], *[900] * 4]
    assert "the last window has 3,600 order lines" in str(said_of(january[8:], None))
    assert said_of([*year[-20:], *january], None) is None


@given(st.lists(st.integers(820, 1200), min_size=24, max_size=70), st.integers(1, 12))
def test_ordinary_ups_and_downs_are_no_loss(lines: list[int], since: int) -> None:
    assert said_of(lines, None) is None
    assert said_of(lines, lines[:-since]) is None


def test_a_week_without_any_line_counts_as_none() -> None:
    days = [datetime(2026, 3, 3), datetime(2026, 3, 10), datetime(2026, 3, 17)]
    events = pl.DataFrame({"kind": "order", "quantity": [1, -1, 2], "occurred_at": days})
    counted = {"2026-03-02": 1, "2026-03-09": 0, "2026-03-16": 1}
    assert lines_per_week(events) == counted
    assert lines_per_week(events, date(2026, 3, 30)) == counted | {"2026-03-23": 0, "2026-03-30": 0}
    assert lines_per_week(events.clear()) == lines_per_week(events.clear(), date(2026, 3, 30)) == {}
