"""Starts dbt as a subprocess over one night's database, and says in plain words what failed.

dbt is never imported: the lock on the database ends with the subprocess.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import ConfigError, FeaturesFailed
from recsys.files import private_folder, read_json
from recsys.night import Night
from recsys.process import die_with_parent

PROJECT_ENV = "RECSYS_DBT_PROJECT"
NIGHT_ENV = "RECSYS_NIGHT_DIR"

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
_FAILED = {"error", "fail", "runtime error", "partial success"}
_PATTERN_CHARACTERS = set("*?[]{}'\"")
_QUOTES_NO_ROWS = (
    "Binder Error",
    "Catalog Error",
    "Parser Error",
    "IO Error",
    "Permission Error",
    "Out of Memory Error",
    "Compilation Error",
)


@dataclass(frozen=True)
class Node:
    """One model or test that dbt ran: its unique id, how it ended, and what may be said about a failure."""

    name: str
    status: str
    message: str

    @property
    def has_failed(self) -> bool:
        return self.status in _FAILED


def project_folder() -> Path:
    """The dbt project: the folder beside this package, or the one that RECSYS_DBT_PROJECT names.

    Raises ConfigError when there is no dbt_project.yml in it.
    """
    beside = Path(__file__).resolve().parents[1] / "dbt_project"
    folder = Path(os.environ.get(PROJECT_ENV) or beside).resolve()
    if not (folder / "dbt_project.yml").is_file():
        raise ConfigError(f"{folder}: there is no dbt_project.yml here. Set {PROJECT_ENV} to the dbt project's folder.")
    return folder


def build(night: Night, tag: str) -> int:
    """Build and test the models with this tag; returns how many models were built.

    Unit tests are left out: they check the code, not the night. Raises FeaturesFailed naming every node that failed.
    """
    selected = ["--select", f"tag:{tag}", "--exclude-resource-type", "unit_test"]
    nodes = run(night, "build", *selected, "--indirect-selection", "buildable")
    return sum(node.name.startswith("model.") for node in nodes)


def run(night: Night, command: str, *arguments: str) -> list[Node]:
    """Run one dbt command on the night's database and return its nodes, none of which failed.

    Raises ConfigError when the night's path cannot be used, FeaturesFailed when dbt failed or had nothing to do.
    Messages carry names, counts and SQL, never values of rows.
    """
    odd = sorted(_PATTERN_CHARACTERS & set(str(night.folder)))
    if odd:
        raise ConfigError(
            f"data_root: the path {night.folder} contains {' '.join(odd)}, which DuckDB reads as a pattern. "
            "Choose a folder without these characters."
        )
    project = project_folder()
    home = private_folder(night.shop.root / "dbt")
    target = home / "target"
    results = target / "run_results.json"
    results.unlink(missing_ok=True)
    ended = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "--no-use-colors",
            "--log-level-file=none",
            command,
            *arguments,
            f"--project-dir={project}",
            f"--profiles-dir={project}",
            f"--target-path={target}",
            f"--log-path={home / 'logs'}",
        ],
        env=_environment(night),
        cwd=project,
        umask=0o077,
        preexec_fn=die_with_parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    doing = " ".join(["dbt", command, *arguments])
    if not results.is_file():
        raise FeaturesFailed(
            f"{doing} ended with code {ended.returncode} before it ran anything:\n{_tail(ended.stdout)}"
        )
    nodes = [
        Node(result["unique_id"], result["status"], _speakable(result["message"] or ""))
        for result in read_json(results)["results"]
    ]
    results.unlink()  # its messages may quote rows
    failed = [node for node in nodes if node.has_failed]
    if failed or ended.returncode:
        listed = "\n".join(f"  {node.name}: {node.message}" for node in failed) or _tail(ended.stdout)
        raise FeaturesFailed(
            f"{doing}: {len(failed)} of {len(nodes)} nodes failed.\n{listed}\n"
            f"To look closer: {NIGHT_ENV}={night.folder} dbt {command} --project-dir {project} --profiles-dir {project}"
        )
    nodes = [node for node in nodes if not node.name.startswith("operation.")]
    if not nodes:
        raise FeaturesFailed(f"{doing}: nothing was selected. Check the tags in {project / 'dbt_project.yml'}.")
    return nodes


def _environment(night: Night) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        NIGHT_ENV: str(night.folder),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
    }


def _speakable(message: str) -> str:
    """A node's message without values of rows.

    Tests count rows and dbt's own errors speak of models and columns. DuckDB's errors about data quote the data, so
    only the kind of those is kept.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return "no message"
    engine = next((line for line in lines if re.match(r"[A-Z][A-Za-z ]+ Error:", line)), None)
    if engine is None:
        return lines[0] if len(lines) == 1 else " ".join(lines[:6])
    if engine.startswith(_QUOTES_NO_ROWS):
        return engine
    return f"{engine.split(':')[0]} in the data (the text is left out here because it quotes rows)"


def _tail(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.splitlines()[-12:])
