"""The command, as a person types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from delivery_faults import Inbox, night_with_target

from recsys.pipeline import STAGES


def recsys(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("recsys"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "40"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy-shop")
    toy.write_shop(folder)
    return folder


def test_check_says_what_a_night_would_take_in_and_keeps_nothing(folder: Path) -> None:
    done = recsys("check", folder / "shop.yaml", toy.RUN_DATE)
    assert done.returncode == 0, done.stderr
    lines = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.count("│") > 3}
    assert "12" in lines["order_lines"]
    assert "absent" in lines["preferences"]
    assert not (folder / "data").exists()


def test_a_wrong_shop_file_ends_without_a_traceback(folder: Path) -> None:
    done = recsys("check", folder / "nothing.yaml", toy.RUN_DATE)
    assert done.returncode == 1
    assert "ConfigError" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [("check", "shop.yaml", "31.03.2026"), ("stage",), ("demo-data", "--customers", "2")]
)
def test_wrong_words_are_explained(folder: Path, arguments: tuple[str, ...]) -> None:
    done = recsys(*arguments, cwd=folder)
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_stage_lists_the_stages(folder: Path) -> None:
    done = recsys("stage", "cook", folder / "shop.yaml", toy.RUN_DATE)
    assert done.returncode == 1
    assert all(stage in done.stderr for stage in STAGES if stage != "gate")


def test_a_stage_out_of_turn_says_which_one_comes_first(folder: Path) -> None:
    done = recsys("stage", "decide", folder / "shop.yaml", toy.RUN_DATE)
    assert done.returncode == 1
    assert "StageInputMissing" in done.stderr


def test_the_reference_lists_fields_and_contracts() -> None:
    done = recsys("config")
    assert done.returncode == 0
    assert "ingest.max_bad_share" in done.stdout
    assert "order_lines: one line of an order, required" in done.stdout


def test_redeliver_shows_every_part_and_sends_what_is_not_there_once(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    night = night_with_target(tmp_path / "shop", f"file://{inbox.folder}", approve=True)
    shop = night.shop.path
    refused = recsys("redeliver", shop, toy.RUN_DATE, "--channel", "email_file")
    assert refused.returncode == 1
    assert "nobody has approved the files" in refused.stdout
    assert inbox.lying() == []
    assert recsys("approve", shop, toy.RUN_DATE, "--channel", "crm_file").returncode == 1
    path = night.audience("check_in_email_file")
    approved = recsys("approve", shop, toy.RUN_DATE, "--channel", "email_file", "--by", "ann")
    assert approved.returncode == (0 if path.is_dir() else 1)
    night = night_with_target(tmp_path / "shop", f"file://{inbox.folder}")
    done = recsys("redeliver", shop, toy.RUN_DATE, "--channel", "email_file")
    lines = [line for line in done.stdout.splitlines() if f"file://{inbox.folder}" in line]
    assert [line.split()[1] for line in lines if "delivered" in line] == [
        "one.csv",
        "two.csv",
        "email_file_20260331.manifest.json",
    ]
    inbox.take()
    recsys("redeliver", shop, toy.RUN_DATE)
    assert inbox.lying() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--settle", "maybe"), "allowed: delivered, lost"),
        (("--settle", "lost"), "name their channel"),
        (("--channel", "fax"), "has no section deliver"),
    ],
)
def test_a_redelivery_that_cannot_be_meant_is_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    inbox = Inbox(tmp_path / "inbox")
    night = night_with_target(tmp_path / "shop", f"file://{inbox.folder}")
    done = recsys("redeliver", night.shop.path, toy.RUN_DATE, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert inbox.lying() == []


@pytest.mark.thorough
def test_a_night_without_airflow_ends_in_files(folder: Path) -> None:
    done = recsys("night", folder / "shop.yaml", toy.RUN_DATE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green" in done.stdout
    mails = folder / "data" / "published" / "audiences" / "email_file" / "2026-03-31" / "email_file_20260331.csv"
    assert mails.read_text(encoding="utf-8").count("@example.com") == 2
    again = recsys("summary", folder / "shop.yaml", toy.RUN_DATE)
    assert again.returncode == 0
    missing = recsys("summary", folder / "shop.yaml", "2026-04-02")
    assert missing.returncode == 1
