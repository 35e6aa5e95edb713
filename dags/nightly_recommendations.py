"""Tonight's recommendations for every customer: from the company's own data to checked audience files.

Every task rewrites its own night and nothing else, so clearing a task is always safe. When the night is red, the last
lines of the red task's log say why, and so does the audience page, which is written however the night went.

| red task | what it means | what to do |
|---|---|---|
| ingest | a delivered file was refused, or too many rows were bad | have it delivered again, clear the task |
| features, decide | a dbt model or test failed | read the named model's message; fix, clear the task |
| gate | a check failed: the files were held back on purpose | read the failed checks; nothing left, nothing to undo |
| export | the bytes are not those that were checked, or the day was published with others | read the message |
| evaluate | what lists were worth could not be measured: the files have left, and the rest goes on | read the message |
| publish | the analysts' database could not be swapped | free space or mend the file it names, clear publish |
"""

import os

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Param, TriggerRule, dag, get_current_context, task
from stage_task import channels_of_night, date_of_night, run_stage, writes


@dag(
    # a run is for the day that its interval begins on, and starts when that day has ended in the brand's time zone
    schedule=CronDataIntervalTimetable(
        os.environ.get("RECSYS_SCHEDULE", "0 3 * * *"), timezone=os.environ.get("RECSYS_SCHEDULE_ZONE", "UTC")
    ),
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=writes(3),
    params={
        "run_date": Param(
            None, type=["null", "string"], format="date", description="Another night than the logical date's"
        )
    },
    tags=["recommendations"],
    doc_md=__doc__,
)
def nightly_recommendations():
    @task
    def open_night() -> str:
        """The night's date: the run_date that was given, else the logical date as a day in the brand's time zone."""
        dag_run = get_current_context()["dag_run"]
        return date_of_night(dag_run.conf or {}, dag_run.logical_date)

    @task
    def ingest(run_date: str) -> dict:
        return run_stage("ingest", run_date)

    @task
    def features(run_date: str) -> dict:
        return run_stage("features", run_date)

    @task
    def recommend(run_date: str) -> dict:
        return run_stage("recommend", run_date)

    @task
    def decide(run_date: str) -> dict:
        return run_stage("decide", run_date)

    @task
    def render(run_date: str) -> dict:
        return run_stage("render", run_date)

    @task
    def gate(run_date: str) -> dict:
        return run_stage("gate", run_date)

    @task
    def what_leaves(run_date: str) -> list[str]:
        return channels_of_night(run_date)

    @task
    def export(run_date: str, channel: str) -> dict:
        return run_stage("export", run_date, channel)

    @task
    def evaluate(run_date: str) -> dict:
        return run_stage("evaluate", run_date)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def measured() -> None:
        """Publishing follows the measurement, however that ended: nobody waits for it."""

    @task
    def publish(run_date: str) -> dict:
        return run_stage("publish", run_date)

    @task
    def whole() -> None:
        """The last task: where any before it is red, the run is red."""

    @task
    def report(run_date: str) -> dict:
        return run_stage("report", run_date)

    night = open_night()
    checked = gate(night)
    files = what_leaves(night)
    exported = export.partial(run_date=night).expand(channel=files)
    published = publish(night)
    evaluated = evaluate(night)
    ingest(night) >> features(night) >> recommend(night) >> decide(night) >> render(night) >> checked >> files
    exported >> evaluated >> measured() >> published
    exported >> published
    [evaluated, published] >> whole()
    # a teardown runs however the night went, and unlike any other last task it does not turn a red night green
    published >> report(night).as_teardown(setups=night)


nightly_recommendations()
