"""Tunes the model, trains a ranker, and lets a challenger be champion only where it is proven; nights use the champion.

Everything is chosen on closed windows before the last one and judged on the last one; the card below
`published/champions/` says how. It works on the newest night whose features are made, or on `run_date`. Clearing the
task is always safe: finished trials are not run again. While it runs no night does (the pool has one slot), so it is
scheduled well before the next one. A red task leaves the champion as it was.
"""

import os

import pendulum
from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task
from stage_task import tune_night, writes


@dag(
    schedule=CronTriggerTimetable(
        os.environ.get("RECSYS_WEEKLY_SCHEDULE", "0 9 * * 1"), timezone=os.environ.get("RECSYS_SCHEDULE_ZONE", "UTC")
    ),
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=writes(6),
    params={
        "run_date": Param(None, type=["null", "string"], format="date", description="Another night than the newest one")
    },
    tags=["evaluation"],
    doc_md=__doc__,
)
def weekly_evaluation():
    @task
    def tune() -> dict:
        return tune_night(get_current_context()["dag_run"].conf or {})

    tune()


weekly_evaluation()
