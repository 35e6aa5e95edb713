"""Is there as much data as there was? Weeks that have lost lines, or came with few, are no ground to choose on.

Without a champion there is nothing to compare with but the data itself: a loss that is everywhere alike, every second
line of all weeks, cannot be told from a smaller shop and is not noticed.
"""

from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

LEAST_SHARE = 0.9
"""Of the lines that weeks had when they were last looked at: erasures and corrections take less."""
WINDOW_SHARE = 2 / 3
"""Of the usual window: half the lines gone is noticed even in a window that would have been a third above it."""
WEEK_SHARE = 0.5
"""Of the usual week, and then only beyond SPREADS of its ups and downs."""
SPREADS = 2.5
USUAL = 12
"""Weeks before a week whose median is usual for it."""
LEAST_USUAL = 4
YEAR = 52
RECENT = 3
"""Windows in which a poor week is held against the data: those that decide and that are tuned on. So one week when the
shop was shut is forgotten."""


def lines_per_week(events: pl.DataFrame, through: date | None = None) -> dict[str, int]:
    """Monday (ISO date) -> order lines of that week but returns, ordered; of events (kind, quantity, occurred_at).

    From the first week with lines to the last, or to the one of `through`; a week in between without any has 0.
    """
    counted = (
        events.filter(pl.col("kind") == "order", pl.col("quantity") > 0)
        .group_by(monday=pl.col("occurred_at").dt.truncate("1w").dt.date())
        .len()
        .sort("monday")
    )
    found = {monday.isoformat(): lines for monday, lines in counted.iter_rows()}
    return dict(zip(_mondays(found, through), _filled(found, through).tolist(), strict=True))


def degradation(
    now: dict[str, int], then: dict[str, int] | None, windows: list[int], window_days: int = 28
) -> str | None:
    """What is wrong with the data, as a sentence; None when nothing is.

    `now` and `then` are `lines_per_week` tonight and when the champion was chosen (None without one); the last week of
    each was not over yet and is left out. `windows`: order lines per closed window, the last one first.

    Looked at are weeks known then, in sum and one by one; windows against the median of those before; and weeks of the
    last window, and since the champion, against the median of the twelve before. Where the year before is known, as
    much less is expected as there was less then.
    """
    span = -(-window_days // 7)
    return _lost(now, then or {}) or _short_window(now, windows, span) or _short_week(now, then or {}, span)


def _lost(now: dict[str, int], then: dict[str, int]) -> str | None:
    weeks = sorted(then)[:-1]
    before, left = (np.array([counts.get(week, 0) for week in weeks], dtype=np.int64) for counts in (then, now))
    if left.sum() < LEAST_SHARE * before.sum():
        return f"of {before.sum():,} order lines that were known when the champion was chosen, {left.sum():,} are left"
    poor = np.flatnonzero(left < LEAST_SHARE * before - 3 * np.sqrt(before))
    if len(poor):
        place = int(poor[-1])
        return (
            f"of {before[place]:,} order lines of the week of {weeks[place]} that were known when the champion was "
            f"chosen, {left[place]:,} are left"
        )
    return None


def _short_window(now: dict[str, int], windows: list[int], span: int) -> str | None:
    counts = _filled(now)[:-1]
    for place, lines in enumerate(windows[:RECENT]):
        before = windows[place + 1 :]
        if len(before) < min(2, place + 1):
            break
        usual = float(np.median(before))
        last_year = len(counts) - YEAR - place * span
        begin = last_year - span - span * len(before)
        season = 1.0
        if begin >= 0 and (rest := counts[begin : last_year - span].mean()) > 0:
            season = min(1.0, float(counts[last_year - span : last_year].mean() / rest))
        if lines < WINDOW_SHARE * season * usual:
            name = "the last window" if place == 0 else f"window {place + 1} from the end"
            return f"{name} has {lines:,} order lines, the ones before have {round(usual):,} as a rule"
    return None


def _short_week(now: dict[str, int], then: dict[str, int], span: int) -> str | None:
    counts, mondays = _filled(now)[:-1], _mondays(now)[:-1]
    known = sorted(then)[:-1]
    since = sum(monday > known[-1] for monday in mondays) if known else 0
    recent = min(max(span, since), RECENT * span)
    for place in range(len(counts) - 1, max(LEAST_USUAL, len(counts) - recent) - 1, -1):
        before = counts[max(0, place - USUAL) : place]
        usual = float(np.median(before))
        spread = max(np.sqrt(usual), 1.4826 * float(np.median(np.abs(before - usual))))
        expected = usual * _season(counts, place)
        if counts[place] < min(WEEK_SHARE * expected, expected - SPREADS * spread):
            return (
                f"the week of {mondays[place]} has {counts[place]:,} order lines, the ones before have {round(usual):,}"
            )
    return None


def _season(counts: NDArray[np.int64], place: int) -> float:
    """How much less there was a year ago, a week sooner or later, than in the weeks before that; at most 1."""
    last_year = place - YEAR
    before = counts[max(0, last_year - USUAL) : max(0, last_year)]
    if len(before) < LEAST_USUAL or not np.median(before):
        return 1.0
    return min(1.0, float(counts[last_year - 1 : last_year + 2].min() / np.median(before)))


def _mondays(counts: dict[str, int], through: date | None = None) -> list[str]:
    if not counts:
        return []
    first, last = date.fromisoformat(min(counts)), date.fromisoformat(max(counts))
    if through is not None:
        last = max(last, through - timedelta(days=through.weekday()))
    return [(first + timedelta(weeks=week)).isoformat() for week in range((last - first).days // 7 + 1)]


def _filled(counts: dict[str, int], through: date | None = None) -> NDArray[np.int64]:
    return np.array([counts.get(monday, 0) for monday in _mondays(counts, through)], dtype=np.int64)
