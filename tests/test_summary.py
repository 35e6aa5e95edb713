"""The terminal summary: what was made, what was not and why, and where it lies."""

import io
import re

import pytest
import report_night
from rich.console import Console

from recsys import analysts
from recsys.night import Night
from recsys.report import page, summary


def shown(night: Night) -> tuple[bool, list[str]]:
    """What `show` returns, and its lines with spaces collapsed."""
    stream = io.StringIO()
    is_whole = summary.show(night, Console(file=stream, width=100, color_system=None))
    return is_whole, [" ".join(line.split()) for line in stream.getvalue().splitlines() if line.strip()]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    night = report_night.build(report_night.night_of(tmp_path_factory.mktemp("night")))
    analysts.run(night)
    page.run(night)
    report_night.stage_file(night, "report")
    return night


@pytest.fixture
def whole(template, tmp_path):
    return report_night.copied(template, tmp_path / "shop")


def test_a_green_night_shows_counts_seconds_and_paths(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    is_whole, lines = shown(whole)
    assert is_whole
    assert lines[0] == "toy, night of 2026-03-31: green"
    assert lines[1:10] == [
        "customers email_file crm_file",
        "known 6",
        "recommended 6",
        "broad variant 1",
        "exported 2 2",
        "held back 4 4",
        "opted out or undeliverable 1 1",
        "no consent 1 1",
        "consent has ended 1 1",
    ]
    assert "export.email_file 1.2 210" in lines
    assert "left since the last file 2 1" in lines
    assert "to be asked 1 1" in lines
    assert "together 17.5" in lines
    assert lines[-7:] == [
        "audience file shop/data/published/audiences/email_file/2026-03-31/email_file_20260331.csv",
        "audience file shop/data/published/audiences/crm_file/2026-03-31/crm_file_20260331.csv",
        "audience file shop/data/published/audiences/check_in_email_file/2026-03-31/check_in_email_file_20260331.csv",
        "audience file shop/data/published/audiences/check_in_crm_file/2026-03-31/check_in_crm_file_20260331.csv",
        "audience file shop/data/published/audiences/catalogue/2026-03-31/catalogue_20260331.csv",
        "audience page shop/data/nights/2026-03-31/page/index.html",
        "analysts' database shop/data/published/analysts.duckdb",
    ]


def test_paths_outside_the_working_folder_are_whole(whole, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert f"analysts' database {whole.analysts}" in shown(whole)[1]


def test_a_red_gate_says_which_check_and_nothing_counts_as_exported(tmp_path):
    night = report_night.build(
        report_night.night_of(tmp_path),
        until="gate",
        failing={"nobody is mailed [bold]who said no[/]": "1 of 2 rows"},
        error="GateRed: 1 critical check failed",
    )
    is_whole, lines = shown(night)
    assert not is_whole
    assert lines[:3] == [
        "toy, night of 2026-03-31: red",
        "failed: gate: GateRed: 1 critical check failed",
        "check failed: permissions: nobody is mailed [bold]who said no[/]: 1 of 2 rows",
    ]
    exports = (
        "export.email_file, export.crm_file, export.check_in_email_file, export.check_in_crm_file, export.catalogue"
    )
    assert f"not done: {exports}, evaluate, publish" in lines
    assert "exported (2, not exported) (2, not exported)" in lines
    assert not any(line.startswith("audience file") for line in lines)


def test_a_night_that_stopped_at_once_says_which_stage_and_why(tmp_path):
    night = report_night.build(
        report_night.night_of(tmp_path), until="ingest", error="SourceRefused: orders.csv: no header"
    )
    is_whole, lines = shown(night)
    assert not is_whole
    assert "failed: ingest: SourceRefused: orders.csv: no header" in lines
    assert any(re.fullmatch(r"not done: features, recommend, .*publish", line) for line in lines)


def test_a_night_that_never_began_is_not_whole(tmp_path):
    is_whole, lines = shown(report_night.night_of(tmp_path))
    assert not is_whole
    assert lines[0] == "toy, night of 2026-03-31: not finished"


@pytest.mark.parametrize("missing", ["page", "analysts"])
def test_without_page_or_analysts_database_a_night_is_not_whole(whole, missing):
    getattr(whole, missing).unlink()
    is_whole, lines = shown(whole)
    assert not is_whole
    assert any(line.startswith("not made: ") for line in lines)


def test_a_failed_report_is_not_whole(whole):
    report_night.stage_file(whole, "report", status="failed", error="CannotPublish: disk full")
    is_whole, lines = shown(whole)
    assert not is_whole
    assert "failed: report: CannotPublish: disk full" in lines
