"""Runs the real DAG in a process of its own, as scripts/demo does: `airflow dags test` on SQLite."""

import hashlib
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DAG = "nightly_recommendations"


def environment(home: Path, shop_file: Path | None = None) -> dict[str, str]:
    """A clean environment for Airflow with its own home."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "RECSYS_SHOP"))}
    kept |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    if shop_file is not None:
        kept["RECSYS_SHOP"] = str(shop_file)
    return kept


def airflow(*arguments: str, home: Path, shop_file: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an airflow command; output and errors together as text."""
    return subprocess.run(
        [Path(sys.executable).with_name("airflow"), *arguments],
        env=environment(home, shop_file),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_dag(run_date: date, home: Path, shop_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One night as the real DAG; `airflow db migrate` comes first where the home is new."""
    if not (home / "airflow.db").exists():
        home.mkdir(parents=True, exist_ok=True)
        migrated = airflow("db", "migrate", home=home)
        assert migrated.returncode == 0, migrated.stdout
    return airflow("dags", "test", DAG, run_date.isoformat(), *arguments, home=home, shop_file=shop_file)


def tree(folder: Path, *suffixes: str) -> dict[str, str]:
    """Relative path and SHA-256 of every file below a folder, of those with one of the suffixes if any are given."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (not suffixes or path.suffix in suffixes)
    }


def night_tree(night_folder: Path) -> dict[str, str]:
    """The files of a night that must be the same bytes every time: all but records of time, databases and the page."""
    volatile = ("stages/", "warehouse.duckdb", "page/")
    return {name: digest for name, digest in tree(night_folder).items() if not name.startswith(volatile)}
