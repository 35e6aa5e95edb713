"""Is there as much data as there was? A week that has lost its lines since is no ground to choose a champion on."""

import polars as pl

LEAST_SHARE = 0.9
"""Of the lines that a week had when it was last looked at."""
SUDDENLY = 0.5
"""Of the mean of the windows before, where there is nothing to compare with."""


def lines_per_week(events: pl.DataFrame) -> dict[str, int]:
    """Monday (ISO date) -> order lines of that week, ordered; of events (kind, occurred_at)."""
    counted = (
        events.filter(pl.col("kind") == "order")
        .group_by(monday=pl.col("occurred_at").dt.truncate("1w").dt.date())
        .len()
        .sort("monday")
    )
    return {monday.isoformat(): lines for monday, lines in counted.iter_rows()}


def degradation(now: dict[str, int], then: dict[str, int] | None, windows: list[int]) -> str | None:
    """What is wrong with the data, as a sentence; None when nothing is.

    `now` and `then` are `lines_per_week` tonight and when the champion was chosen; the last week of `then` was not over
    yet and is left out. `windows`: order lines per closed window, the last one first; looked at without any `then`.
    """
    if then:
        weeks = sorted(then)[:-1]
        before, left = sum(then[week] for week in weeks), sum(now.get(week, 0) for week in weeks)
        if left < LEAST_SHARE * before:
            return f"of {before:,} order lines that were known when the champion was chosen, {left:,} are left"
        return None
    if len(windows) > 1 and windows[0] < SUDDENLY * sum(windows[1:]) / len(windows[1:]):
        usual = round(sum(windows[1:]) / len(windows[1:]))
        return f"the last window has {windows[0]:,} order lines, the ones before have {usual:,} on average"
    return None
