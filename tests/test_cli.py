"""The command, as a person types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import toy

from recsys.pipeline import STAGES


def recsys(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("recsys"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"},
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
