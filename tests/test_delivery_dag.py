"""Deliveries by the real DAG: one that fails keeps nothing back, and is mended by redeliver_export."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import toy
from airflow_run import DAG, REPOSITORY, airflow, environment, run_dag
from delivery_faults import DELIVERED, Inbox, night_with_target
from outside_servers import SSHD, sftp_server

from recsys.config import Shop, load_shop
from recsys.delivery import approval
from recsys.delivery.journal import outcome
from recsys.night import Night

REDELIVER = "redeliver_export"
SECRET = "s3cr3t-and-long"
with_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd here; Debian: apt-get install openssh-server")


class Run:
    """A toy shop whose mails go to a folder that is there, and whose CRM file to one that is not."""

    def __init__(self, folder: Path, *, approve: bool = False) -> None:
        self.home = folder / "airflow"
        shop = toy.write_shop(folder / "shop")
        self.mails, self.crm = Inbox(folder / "mails"), folder / "crm"
        content = shop.path.read_text()
        for name, to in (("email_file", self.mails.folder), ("crm_file", self.crm)):
            deliver = f"{{to: 'file://{to}'{', approve: true' if approve else ''}}}"
            content = content.replace(f"name: {name},", f"name: {name}, deliver: {deliver},")
        shop.path.write_text(content)
        self.shop: Shop = load_shop(shop.path)
        self.night = Night(self.shop, toy.RUN_DATE)

    def redeliver(self, **conf: str) -> subprocess.CompletedProcess[str]:
        return airflow(
            "dags",
            "test",
            REDELIVER,
            "2026-04-01",
            "--conf",
            json.dumps(conf),
            home=self.home,
            shop_file=self.shop.path,
        )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, subprocess.CompletedProcess[str]]:
    run = Run(tmp_path_factory.mktemp("nights"))
    return run, run_dag(run.night.run_date, run.home, run.shop.path)


def states(run: Run) -> list[tuple[object, ...]]:
    with duckdb.connect(str(run.night.analysts), read_only=True) as con:
        return con.execute(
            "SELECT channel, customer_id, state FROM contact_history ORDER BY channel, customer_id"
        ).fetchall()


@pytest.mark.thorough
def test_a_delivery_that_fails_turns_the_night_red_and_keeps_nothing_else_back(first) -> None:
    run, done = first
    assert done.returncode != 0
    assert "The folder must be there" in done.stdout
    assert run.mails.lying() == [
        "check_in_email_file_20260331.csv",
        "check_in_email_file_20260331.manifest.json",
        "email_file_20260331.csv",
        "email_file_20260331.manifest.json",
        "email_file_clear_20260331.csv",
        "email_file_remove_20260331.csv",
    ]
    assert states(run) == [
        ("crm_file", "ann", "failed"),
        ("crm_file", "ben", "failed"),
        ("email_file", "ann", "acknowledged"),
        ("email_file", "ben", "acknowledged"),
    ]
    text = run.night.page.read_text()
    assert "“Deliver: crm_file” stopped." in text


@pytest.mark.thorough
def test_redeliver_brings_what_is_missing_and_nothing_twice(first) -> None:
    run, _ = first
    run.crm.mkdir()
    for path in run.mails.folder.iterdir():
        path.unlink()
    done = run.redeliver(run_date=toy.RUN_DATE.isoformat())
    assert done.returncode == 0, done.stdout[-4000:]
    assert run.mails.lying() == []
    assert len(list(run.crm.iterdir())) == 6
    assert {state for _, _, state in states(run)} == {"acknowledged"}
    assert "“Deliver: crm_file” stopped." not in run.night.page.read_text()


@pytest.mark.parametrize(
    "conf", [{}, {"run_date": "2026-03-31", "force": "yes"}, {"run_date": "2026-03-31", "channel": "x"}]
)
@pytest.mark.thorough
def test_a_conf_that_is_not_allowed_delivers_nothing(first, conf: dict[str, str]) -> None:
    run, _ = first
    before = outcome(run.night, "email_file")
    assert run.redeliver(**conf).returncode != 0
    assert outcome(run.night, "email_file") == before


@pytest.mark.thorough
def test_files_wait_for_a_person_who_has_seen_the_page(tmp_path: Path) -> None:
    """One says yes to the first channel that asks, and no to the other: what was approved leaves, and nothing else."""
    run = Run(tmp_path, approve=True)
    run.crm.mkdir()
    assert airflow("db", "migrate", home=run.home).returncode == 0
    variables = environment(run.home, run.shop.path)
    answering = variables | {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    printed = tmp_path / "printed"  # a pipe that nobody reads would hold the night up
    with printed.open("w") as stream:
        night = subprocess.Popen(
            [Path(sys.executable).with_name("airflow"), "dags", "test", DAG, toy.RUN_DATE.isoformat()],
            env=variables,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        for option in ("Approve", "Reject"):
            asked = subprocess.run(
                [sys.executable, REPOSITORY / "tests" / "answer_in_airflow.py", DAG, option],
                env=answering, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert asked.returncode == 0, asked.stderr[-3000:]
            question = json.loads(asked.stdout.splitlines()[-1])
            assert question["task"] == "when_approved.ask"
            assert str(run.night.page) in question["body"]
            assert run.night.page.is_file()
            assert "@example.com" not in asked.stdout
        night.wait(timeout=900)
    finally:
        night.kill()
    assert night.returncode != 0, printed.read_text()[-3000:]
    approved = [name for name in ("email_file", "crm_file") if approval.path_of(run.night, name).is_file()]
    assert len(approved) == 1
    arrived = {"email_file": run.mails.lying(), "crm_file": sorted(path.name for path in run.crm.iterdir())}
    assert [name for name, files in arrived.items() if files] == approved
    assert len(arrived[approved[0]]) == 6
    assert "waits for approval" in run.night.page.read_text()


@pytest.mark.thorough
@with_sshd
def test_a_connection_of_airflow_opens_the_target_and_is_printed_nowhere(tmp_path: Path) -> None:
    inbox, home = Inbox(tmp_path / "inbox"), tmp_path / "airflow"
    with sftp_server(tmp_path / "sshd") as server:
        to = f"sftp://127.0.0.1:{server.port}{inbox.folder}"
        night = night_with_target(tmp_path / "shop", to, "mail-tool")
        content = json.loads(server.connection(host_key=server.host_key)) | {"conn_type": "sftp", "password": SECRET}
        for arguments in (("db", "migrate"), ("connections", "add", "mail-tool", "--conn-json", json.dumps(content))):
            assert airflow(*arguments, home=home).returncode == 0
        conf = json.dumps({"run_date": night.run_date.isoformat(), "channel": "email_file"})
        done = airflow("dags", "test", REDELIVER, "2026-04-01", "--conf", conf, home=home, shop_file=night.shop.path)
    assert sorted(inbox.lying()) == sorted(DELIVERED)
    for secret in (SECRET, server.private_key.splitlines()[1]):
        assert secret not in done.stdout
        assert not [path for path in home.rglob("*.log") if secret in path.read_text()]
        assert not [
            path for path in night.shop.root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]
