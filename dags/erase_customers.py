"""Erases customers: everything below the data root that says who they were goes, and they stay suppressed for good.

Triggered by hand, never scheduled. `requests` is a text file with one customer id per line, inside one of the folders
that the shop's source files lie in (`sandbox` in the shop file), named relative to the shop file; `date` is the date of
the erasure. It needs RECSYS_SUPPRESSION_KEY. Afterwards the newest published night is made again without them; nothing
is exported. Clearing the task is always safe; while an erasure is unfinished no night runs.
"""

import pendulum
from airflow.sdk import Param, dag, get_current_context, task
from stage_task import erase_customers_of, writes


@dag(
    schedule=None,
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=writes(6),
    params={
        "requests": Param(
            "", type="string", minLength=1, maxLength=1000, description="File with one customer id per line"
        ),
        "date": Param("", type="string", format="date", description="The date of the erasure"),
    },
    tags=["erasure"],
    doc_md=__doc__,
)
def erase_customers():
    @task
    def erase() -> dict:
        return erase_customers_of(get_current_context()["dag_run"].conf or {})

    erase()


erase_customers()
