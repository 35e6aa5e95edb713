"""The walls between the rooms: who may import whom."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "recsys": {"airflow", "dbt", "great_expectations", "expectations", "dags", "tests", "pickle", "joblib"},
    "expectations": {"airflow", "dbt", "dags", "tests", "pickle", "joblib"},
    "dags": {"dbt", "great_expectations", "duckdb", "polars", "implicit", "tests"},
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may_know(room: str) -> None:
    files = sorted((REPOSITORY / room).rglob("*.py"))
    assert files
    breaches = {str(path): imports_of(path) & FORBIDDEN[room] for path in files}
    assert {path: names for path, names in breaches.items() if names} == {}


@pytest.mark.parametrize("room", ["recsys", "expectations", "dags"])
def test_nothing_asks_the_clock(room: str) -> None:
    clocks = {"now", "utcnow", "today"}
    for path in sorted((REPOSITORY / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in clocks, path
                assert not (node.attr == "time" and _is_name(node.value, "time")), path


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_sql_asks_no_clock_and_uses_no_unstable_aggregate() -> None:
    banned = ("current_date", "current_timestamp", "now()", "today()", "any_value(", "first(", "approx_")
    files = sorted((REPOSITORY / "dbt_project").rglob("models/**/*.sql"))
    assert len(files) > 20
    for path in files:
        text = path.read_text(encoding="utf-8").lower()
        assert not [word for word in banned if word in text], path


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert len(pinned) > 150
    assert all("==" in line for line in pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
