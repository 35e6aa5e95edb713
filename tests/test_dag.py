"""The nightly DAG: what it is made of, and real nights of the toy shop from end to end."""

import csv
import json
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
import toy
from airflow_run import DAG, REPOSITORY, environment, night_tree, run_dag, tree

from recsys.config import Shop
from recsys.night import Night
from recsys.pipeline import PER_CHANNEL, STAGES

TASKS = {
    "open_night",
    "ingest",
    "features",
    "recommend",
    "evaluate",
    "decide",
    "render",
    "gate",
    "what_leaves",
    "export",
    "what_is_delivered",
    "deliver",
    "settled",
    "what_needs_approval",
    "when_approved.question",
    "when_approved.ask",
    "when_approved.deliver_approved",
    "publish",
    "whole",
    "report",
}
ASK = "when_approved.ask"

INSPECT = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
heavy = [name for name in ("great_expectations", "implicit", "polars", "duckdb", "dbt") if name in sys.modules]
print(json.dumps({
    "errors": bag.import_errors,
    "heavy": heavy,
    "dags": {dag_id: {task.task_id: {
        "upstream": sorted(task.upstream_task_ids), "pool": task.pool, "retries": task.retries,
        "delay": task.retry_delay.total_seconds(), "timeout": bool(task.execution_timeout),
        "teardown": task.is_teardown, "rule": str(task.trigger_rule.value),
    } for task in dag.tasks} | {"": {"catchup": dag.catchup, "active": dag.max_active_runs}}
    for dag_id, dag in bag.dags.items()},
}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict:
    home = tmp_path_factory.mktemp("airflow-home")
    done = subprocess.run(
        [sys.executable, "-c", INSPECT, str(REPOSITORY / "dags")],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_there_are_exactly_these_dags_and_tasks(bag: dict) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {DAG, "erase_customers", "redeliver_export", "weekly_evaluation"}
    assert set(bag["dags"][DAG]) - {""} == TASKS
    assert {path.stem for path in (REPOSITORY / "dags").glob("*.py")} - {"stage_task"} == set(bag["dags"])


def test_the_stages_follow_one_another(bag: dict) -> None:
    tasks = bag["dags"][DAG]
    order = [
        "ingest",
        "features",
        "recommend",
        "decide",
        "render",
        "gate",
        "what_leaves",
        "export",
        "evaluate",
        "settled",
        "publish",
        "whole",
    ]
    for before, after in pairwise(order):
        assert before in tasks[after]["upstream"], (before, after)
    assert tasks["report"]["upstream"] == ["open_night", "publish"]
    assert tasks["report"]["teardown"]
    assert {"export", "what_is_delivered"} < set(tasks["deliver"]["upstream"])


def test_a_person_is_asked_when_the_page_is_written_and_before_anything_leaves(bag: dict) -> None:
    tasks = bag["dags"][DAG]
    assert {"export", "report"} < set(tasks["when_approved.question"]["upstream"])
    assert tasks[ASK]["upstream"] == ["when_approved.question"]
    assert "when_approved.ask" in tasks["when_approved.deliver_approved"]["upstream"]
    assert (tasks[ASK]["pool"], tasks[ASK]["retries"]) == ("default_pool", 0)


def test_publishing_waits_for_deliveries_and_the_measurement_and_needs_neither(bag: dict) -> None:
    """Only what does nothing itself runs however its upstream ended, and it is not last: the run stays red."""
    tasks = bag["dags"][DAG]
    assert {name: task["rule"] for name, task in tasks.items() if name and task["rule"] != "all_success"} == {
        "settled": "all_done",
        "whole": "none_failed",
        "report": "all_done_setup_success",
    }
    assert tasks["settled"]["upstream"] == ["deliver", "evaluate"]
    assert tasks["publish"]["upstream"] == ["export", "open_night", "settled"]
    assert tasks["whole"]["upstream"] == ["deliver", "evaluate", "publish"]


def test_every_task_has_retries_a_timeout_and_the_one_slot_pool(bag: dict) -> None:
    for name in TASKS - {ASK}:
        task = bag["dags"][DAG][name]
        assert (task["pool"], task["retries"], task["delay"], task["timeout"]) == ("duckdb_writer", 3, 120.0, True), (
            name
        )
    assert bag["dags"][DAG][""] == {"catchup": False, "active": 1}


def test_reading_the_dag_file_imports_nothing_heavy(bag: dict) -> None:
    assert bag["heavy"] == []


FROM_THE_GATE_ON = ("gate", "evaluate", "publish", "report")
CANARIES = ("ann@example.com", "+4915112345678", "dan@example", "secret@example.com")


class Run:
    """Nights of one toy shop, run one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "airflow"
        self.shop: Shop = toy.write_shop(folder / "shop")
        toy.deliver_permissions(self.shop, toy.RUN_DATE + timedelta(days=1))
        self.printed = ""

    def night(self, days: int = 0) -> Night:
        return Night(self.shop, toy.RUN_DATE + timedelta(days=days))

    def dag(self, days: int = 0, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = run_dag(self.night(days).run_date, self.home, self.shop.path, *arguments)
        self.printed += done.stdout
        return done


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("nights"))
    done = run.dag()
    assert done.returncode == 0, done.stdout[-6000:]
    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_night_ends_in_the_right_audience_files(first: Run) -> None:
    night = first.night()
    mails = rows_of(night.audience("email_file") / "email_file_20260331.csv")
    assert [row["customer_id"] for row in mails] == ["ann", "ben"]
    assert [row["email"] for row in mails] == ["ann@example.com", "ben@example.com"]
    assert all(row["rec_1_id"] and row["rec_1_name"] and row["rec_1_reason"] for row in mails)
    crm = rows_of(night.audience("crm_file") / "crm_file_20260331.csv")
    assert [row["customer_id"] for row in crm] == ["ann", "ben"]
    assert not {"email", "first_name"} & set(crm[0])
    shown = {row[f"rec_{slot}_id"] for row in mails + crm for slot in (1, 2)} - {""}
    catalogue = {row["product_id"] for row in rows_of(night.audience("catalogue") / "catalogue_20260331.csv")}
    assert catalogue == shown
    assert not shown & {"oolong", "test"}


def test_everybody_is_accounted_for(first: Run) -> None:
    with duckdb.connect(str(first.night().analysts), read_only=True) as con:
        statuses = con.execute(
            "select customer_id, status from decisions where channel = 'email_file' order by customer_id"
        ).fetchall()
    assert statuses == [
        ("ann", "exported"),
        ("ben", "exported"),
        ("cat", "no_consent"),
        ("dan", "suppressed"),
        ("eve", "consent_expired"),
        ("fay", "invalid_address"),
    ]


def test_the_page_and_the_records_are_there(first: Run) -> None:
    night = first.night()
    assert "2026" in night.page.read_text(encoding="utf-8")
    stages = {path.stem for path in night.stages.glob("*.json")}
    assert stages == {task for task in TASKS if task in STAGES and task not in PER_CHANNEL} | {
        "export.email_file",
        "export.crm_file",
        "export.check_in_email_file",
        "export.check_in_crm_file",
        "export.catalogue",
    }


def test_everything_a_night_makes_is_private(first: Run) -> None:
    for path in first.shop.root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.thorough
def test_a_second_run_of_the_same_night_changes_nothing(first: Run) -> None:
    night = first.night()
    published, made = tree(night.published / "audiences"), night_tree(night.folder)
    done = first.dag()
    assert done.returncode == 0, done.stdout[-6000:]
    assert tree(night.published / "audiences") == published
    assert night_tree(night.folder) == made


@pytest.mark.thorough
def test_a_measurement_that_fails_keeps_nothing_from_the_analysts_and_the_run_is_red(first: Run) -> None:
    """A file lies where the fold's folder would be made."""
    night, text = first.night(), first.shop.path.read_text()
    published = tree(night.published / "audiences")
    night.analysts.unlink()
    (night.folder / "folds").write_text("in the way")
    first.shop.path.write_text(text.replace("nightly: false", "nightly: true"))
    try:
        done = first.dag()
    finally:
        first.shop.path.write_text(text)
        (night.folder / "folds").unlink()
    assert done.returncode != 0
    states = {name: json.loads((night.stages / f"{name}.json").read_text())["status"] for name in FROM_THE_GATE_ON}
    assert states == {"gate": "done", "evaluate": "failed", "publish": "done", "report": "done"}
    assert tree(night.published / "audiences") == published
    with duckdb.connect(str(night.analysts), read_only=True) as con:
        assert con.execute("select count(*) from decisions").fetchall() == [(12,)]
        assert con.execute("select count(*) from evaluations").fetchall() == [(0,)]
    assert not night.evaluation.exists()
    page = night.page.read_text(encoding="utf-8")
    assert "Red: the files have left, but something went wrong." in page
    assert "“Measure what such lists were worth” has left nothing to show for this night." in page
    assert "come from an earlier run" not in page


@pytest.mark.thorough
def test_a_red_gate_holds_everything_back_and_says_why(first: Run) -> None:
    """The next night's audience must have 1,000 recipients: the gate stops it, and last night's files stay."""
    text = first.shop.path.read_text()
    published = tree(first.night().published)
    first.shop.path.write_text(text + "gate: {min_recipients: 1000}\n")
    try:
        done = first.dag(1)
    finally:
        first.shop.path.write_text(text)
    assert done.returncode != 0
    assert tree(first.night().published) == published
    night = first.night(1)
    assert not night.audience("email_file").exists()
    verdict = json.loads(night.verdict.read_text())
    assert verdict["is_green"] is False
    gate_log = done.stdout[: done.stdout.index("gate       failed")] + done.stdout[done.stdout.index("GateRed") :]
    assert "GateRed: The gate of 2026-04-01 is red" in gate_log
    assert "volume/email_file" in gate_log
    page = night.page.read_text(encoding="utf-8")
    failed = [check for check in verdict["checks"] if check["severity"] == "critical" and not check["passed"]]
    assert failed
    for check in failed:
        assert check["check"] in page


@pytest.mark.thorough
def test_the_next_night_goes_on_after_a_red_one(first: Run) -> None:
    """Cat consents again and Fay mends her address on the next day; its files are for them too."""
    folder = first.shop.folder / "inbox" / first.night(1).run_date.isoformat()
    folder.mkdir(exist_ok=True)
    consent = toy.frame("consents", [toy._consent("cat", "granted", "2026-04-01T08:00:00")])
    consent.write_csv(folder / "consents.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    fay = toy.frame("customers", [toy._customer("fay", updated_at=toy._at("2026-04-01T09:00:00"))])
    fay.write_csv(folder / "customers.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    before = tree(first.night().published / "audiences" / "email_file" / "2026-03-31")
    done = first.dag(1)
    assert done.returncode == 0, done.stdout[-6000:]
    mails = rows_of(first.night(1).audience("email_file") / "email_file_20260401.csv")
    assert [row["customer_id"] for row in mails] == ["ann", "ben", "cat", "fay"]
    assert tree(first.night().published / "audiences" / "email_file" / "2026-03-31") == before
    with duckdb.connect(str(first.night(1).analysts), read_only=True) as con:
        nights = con.execute("select run_date, count(*) from decisions group by 1 order by 1").fetchall()
    assert [(str(day), rows) for day, rows in nights] == [("2026-03-31", 12), ("2026-04-01", 12)]


@pytest.mark.thorough
def test_a_damaged_delivery_stops_the_night_before_anything_else(first: Run) -> None:
    folder = first.shop.folder / "inbox" / first.night(2).run_date.isoformat()
    folder.mkdir()
    (folder / "orders.csv").write_text("not ours")
    (folder / "order_lines.csv").write_text("order_id;customer_id\n1;2\n")
    (folder / "customers.csv").write_text("customer_id,email\nx,secret@example.com\n")
    published = tree(first.night().published)
    done = first.dag(2)
    assert done.returncode != 0
    assert "SourceRefused" in done.stdout
    assert "the header differs" in done.stdout or "names none of its columns" in done.stdout
    assert tree(first.night().published) == published
    assert not first.night(2).raw.exists() or not list(first.night(2).raw.iterdir())
    assert "order_lines.csv" in first.night(2).page.read_text()


def test_no_address_is_in_airflows_output_or_xcom(first: Run) -> None:
    """Neither in what the green, the red and the refused runs of this module printed, nor in Airflow's database."""
    assert first.printed
    for canary in CANARIES:
        assert canary not in first.printed.lower()
    for path in first.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            for canary in CANARIES:
                assert canary.encode() not in content, path.name
