"""Delivers a published night again, safely: what is acknowledged never leaves again, what may have arrived neither.

Triggered by hand. Without `channel` every channel that is delivered. Of parts in doubt the target is asked; where it
cannot tell, look there yourself, then trigger it with `channel`, `settle` (delivered or lost) and the names of the
`parts`, separated by commas. Clearing the task is always safe.
"""

import pendulum
from airflow.sdk import Param, dag, get_current_context, task
from stage_task import redeliver_of, writes


@dag(
    schedule=None,
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=writes(3),
    params={
        "run_date": Param("", type="string", format="date", description="The night"),
        "channel": Param(None, type=["null", "string"], maxLength=64, description="Only this channel"),
        "settle": Param(
            None, enum=[None, "delivered", "lost"], description="What you found became of the named parts in doubt"
        ),
        "parts": Param(None, type=["null", "string"], maxLength=4000, description="Parts in doubt, comma-separated"),
    },
    tags=["delivery"],
    doc_md=__doc__,
)
def redeliver_export():
    @task
    def redeliver() -> dict:
        return redeliver_of(get_current_context()["dag_run"].conf or {})

    redeliver()


redeliver_export()
