"""Stage `evaluate`: would last month's lists have been right? On the last closed window, beside simple rivals."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl

from recsys.champion import HELD_OUT
from recsys.evaluation.fold import Fold, open_fold
from recsys.evaluation.individuality import NOT_MEASURED, Individuality, Swap, lift_over_segment
from recsys.evaluation.scoreboard import SCORES_SCHEMA, SEGMENT, SHIPPED, Scoreboard, labelled
from recsys.files import private_folder, write_json
from recsys.lists import Learnt
from recsys.night import Night
from recsys.tables import write_parquet

TABLE_SCHEMA = pl.Schema({"run_date": pl.Date(), "window_begin": pl.Date(), "window_days": pl.Int64(), **SCORES_SCHEMA})
"""`evaluation/scores.parquet`: SCORES_SCHEMA of one window; the individuality numbers are metrics of `shipped`."""

log = logging.getLogger("recsys")


def run(night: Night) -> dict[str, int | str]:
    """Write `evaluation/scores.parquet` and `evaluation/card.json`; counts, and the sentence about individuality.

    The window is the last `evaluate.window_days` before the night's end; lists are made as the night would have made
    them before it. Nobody bought anything in it, nothing was known before it, or evaluate.nightly is off: no rows, and
    the sentence says that it was not measured. Raises StageInputMissing when the night's features are not there.
    """
    days = night.shop.evaluate.window_days
    begin = night.run_date - timedelta(days=days - 1)
    shutil.rmtree(night.evaluation, ignore_errors=True)  # what an earlier attempt measured is no answer for this one
    scores, individuality = SCORES_SCHEMA.to_frame(), None
    if night.shop.evaluate.nightly:
        with open_fold(night, days) as fold:
            held_out = night.raw / "champion" / HELD_OUT if night.recipe.kind == "two_stage" else None
            scores, individuality = measured(fold, held_out, only_buyers=night.recipe.only_buyers)
    private_folder(night.evaluation)
    labels = {"run_date": night.run_date, "window_begin": begin, "window_days": days}
    table = scores.select(*(pl.lit(value).alias(name) for name, value in labels.items()), pl.all())
    write_parquet(table.cast(TABLE_SCHEMA).match_to_schema(TABLE_SCHEMA), night.evaluation / "scores.parquet")
    sentence = individuality.sentence if individuality else NOT_MEASURED
    customers = individuality.customers if individuality else 0
    write_json(
        night.evaluation / "card.json",
        {
            "window_begin": begin.isoformat(),
            "window_days": days,
            "customers": customers,
            "sentence": sentence,
        },
    )
    log.info("evaluate: %s", sentence)
    return {"window_begin": begin.isoformat(), "customers": customers, "rows": table.height, "sentence": sentence}


def measured(
    fold: Fold, ranker: Path | None, *, only_buyers: bool = False
) -> tuple[pl.DataFrame, Individuality | None]:
    """SCORES_SCHEMA of a fold, with the individuality numbers as metrics of `shipped`; and these.

    `ranker`: folder of the one that lists are ordered by, if any, or those of buyers only; it must know nothing of the
    window. Nothing bought, or nothing known before: no rows.
    """
    if fold.bought.is_empty():
        return SCORES_SCHEMA.to_frame(), None
    board = Scoreboard(fold)
    learnt = Learnt.of(board.features, ranker, only_buyers=only_buyers)
    scores, judged = board.scores(learnt)
    task = board.tasks[0]
    swap = Swap.of(learnt.model, board.segments, task.customers, board.seed, learnt.of_everything)
    gains = [swap.gain(one.relevant, board.candidates, one.excluded, board.k, board.seed) for one in board.tasks]
    lift = lift_over_segment(judged[task.name, SHIPPED], judged[task.name, SEGMENT], board.seed)
    numbers = [(one.name, gain) for one, gain in zip(board.tasks, gains, strict=True)] + [(task.name, lift)]
    rows = [labelled(found, name, SHIPPED, "everybody", "") for name, found in numbers]
    individuality = Individuality(
        len(task.customers), *(frame.select("mean", "low", "high").row(0) for frame in (gains[0], lift))
    )
    return pl.concat([scores, *rows]), individuality
