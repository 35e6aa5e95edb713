"""Tries the broken rules of `permission_mutants`: for each, a night of made-up people, and who notices.

Two must: the gate's independent re-count and the oracle. dbt's own data tests and unit tests are shown besides. Run as
scripts/permission-mutants; the table goes to docs/permission-mutants.md.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import polars as pl
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from permission_mutants import MUTANTS, Mutant
from permission_oracle import Oracle
from permission_people import MIN_ITEMS, World, imagine, write_night

from expectations import evidence as evidence_of
from expectations import facts, gate, permission
from recsys import dbt, decide, features, recommend
from recsys.channels import render
from recsys.errors import FeaturesFailed, RecsysError
from recsys.night import Night

PEOPLE, SEED = 4_000, 11
REPORT = Path(__file__).resolve().parents[1] / "docs" / "permission-mutants.md"
ONLY_WARN = "\ndata_tests:\n  recsys:\n    +severity: warn\n"
"""In the copy of the project, so that a night which dbt's tests would stop goes on to the gate."""


@dataclass(frozen=True)
class Findings:
    """Who noticed: names of the re-count's checks that failed, how often the oracle differs, and dbt's tests."""

    recount: tuple[str, ...]
    oracle: int
    data_tests: tuple[str, ...]
    unit_tests: tuple[str, ...]

    @property
    def is_caught(self) -> bool:
        return bool(self.recount) and self.oracle > 0

    @property
    def is_clean(self) -> bool:
        return not (self.recount or self.oracle or self.data_tests or self.unit_tests)


class Trial:
    """A night of made-up people in `folder` and a copy of the dbt project that can be broken."""

    def __init__(self, folder: Path, people: int = PEOPLE, seed: int = SEED) -> None:
        self.world: World = imagine(people, seed)
        self.night: Night = write_night(folder / "shop", self.world)
        self.oracle: Oracle = self.world.oracle(self.night)
        self.project = folder / "dbt_project"
        shutil.copytree(dbt.project_folder(), self.project, ignore=shutil.ignore_patterns("target", "logs"))
        settings = self.project / "dbt_project.yml"
        settings.write_text(settings.read_text(encoding="utf-8") + ONLY_WARN, encoding="utf-8")

    def run(self, mutant: Mutant | None = None, *, unit_tests: bool = False) -> Findings:
        """The night with the rule broken, or as it is; without unit tests unless they are asked for."""
        with self._broken(mutant), _within_this_process() as nodes:
            try:
                features.run(self.night)
                recommend.run(self.night)
                decide.run(self.night)
            except RecsysError as error:
                return Findings((), 0, (f"the night stops before the gate: {error}",), ())
            failed_units = self._unit_tests(mutant) if unit_tests else ()
        render.run(self.night)
        data_tests = {_test_name(node) for node in nodes if node.name.startswith("test.") and node.status == "warn"}
        return Findings(self._recount(), self._differences(), tuple(sorted(data_tests)), failed_units)

    @contextmanager
    def _broken(self, mutant: Mutant | None) -> Iterator[None]:
        before = os.environ.get(dbt.PROJECT_ENV)
        os.environ[dbt.PROJECT_ENV] = str(self.project)
        path = self.project / (mutant.file if mutant else "dbt_project.yml")
        sound = path.read_text(encoding="utf-8")
        try:
            if mutant is not None:
                path.write_text(mutant.applied(self.project), encoding="utf-8")
            yield
        finally:
            path.write_text(sound, encoding="utf-8")
            if before is None:
                del os.environ[dbt.PROJECT_ENV]
            else:
                os.environ[dbt.PROJECT_ENV] = before

    def _unit_tests(self, mutant: Mutant | None) -> tuple[str, ...]:
        """The unit tests that fail: of the changed model, or all of them when no single model was changed."""
        selected = "test_type:unit"
        if mutant is not None and mutant.file.startswith("models/intermediate"):
            selected = f"{Path(mutant.file).stem},test_type:unit"
        nodes = dbt.run(self.night, "test", "--select", selected)
        return tuple(sorted(node.name.split(".")[-1] for node in nodes if node.has_failed))

    def _recount(self) -> tuple[str, ...]:
        evidence, checks = evidence_of.gather(self.night)
        if evidence is None:
            return tuple(sorted({check.check for check in checks if not check.passed}))
        said = permission.gather(self.night)
        checks = gate.recounted(evidence, facts.gather(self.night, said), said)
        return tuple(sorted({check.check for check in checks if check.severity == "critical" and not check.passed}))

    def _differences(self) -> int:
        """Decisions, permissions to personalise and customers learnt from that are other than the oracle says."""
        slots = {channel.slots for channel in self.night.shop.channels}
        lists = pl.read_parquet(self.night.recommendations).filter(pl.col("rank") <= max(slots))
        items = dict.fromkeys(self.oracle.customers, 0) | dict(lists.group_by("customer_id").len().rows())
        decisions = pl.read_parquet(self.night.decisions / "fct_decisions.parquet")
        decided = {
            (name, to): status
            for name, to, status in decisions.select("customer_id", "contact_channel", "status").rows()
        }
        expected = self.oracle.statuses(items, MIN_ITEMS)
        differing = sum(decided.get(key) != status for key, status in expected.items()) + len(decided.keys() - expected)
        allowed = {name for name in self.oracle.customers if self.oracle.may_personalise(name)}
        grown_up = {name for name in self.oracle.customers if not self.oracle.is_minor(name)}
        handed = pl.read_parquet(self.night.features / "customers.parquet")
        differing += len(set(handed.filter("may_personalise")["customer_id"]) ^ allowed)
        differing += len(set(handed["customer_id"]) ^ grown_up)
        learnt = set(pl.read_parquet(self.night.features / "interactions.parquet")["customer_id"])
        ranks = dict(pl.read_parquet(self.night.features / "popularity.parquet").select("product_id", "rank").rows())
        popular = self.oracle.popular(
            self.world.tables["order_lines"], ranks, self.night.shop.recommend.popular_days, allowed
        )
        return differing + len(learnt - allowed) + sum(ranks[product] != rank for product, rank in popular.items())


def _test_name(node: dbt.Node) -> str:
    return node.name.split(".")[2]


@contextmanager
def _within_this_process() -> Iterator[list[dbt.Node]]:
    """dbt without a process of its own each time, which takes half as long; the nodes that it ran."""
    nodes: list[dbt.Node] = []
    run = dbt.run

    def running(night: Night, command: str, *arguments: str) -> list[dbt.Node]:
        os.environ[dbt.NIGHT_ENV] = str(night.folder)
        home, project = night.shop.root / "dbt", dbt.project_folder()
        flags = ["--quiet", "--no-use-colors", "--log-level-file=none", "--log-level=none"]
        folders = [f"--project-dir={project}", f"--profiles-dir={project}", f"--target-path={home / 'target'}"]
        try:
            ended = dbtRunner().invoke([*flags, command, *arguments, *folders, f"--log-path={home / 'logs'}"])
        finally:
            DuckDBConnectionManager.close_all_connections()
        if ended.result is None:
            raise FeaturesFailed(f"dbt {command}: {ended.exception}")
        ran = [dbt.Node(one.node.unique_id, str(one.status), one.message or "") for one in ended.result.results]
        failed = [node for node in ran if node.has_failed]
        if failed and command == "build":
            raise FeaturesFailed("\n".join(f"{node.name}: {node.message}" for node in failed))
        nodes.extend(ran)
        return ran

    dbt.run = running
    try:
        yield nodes
    finally:
        dbt.run = run


def table(tried: Sequence[tuple[Mutant, Findings]]) -> str:
    """The Markdown of docs/permission-mutants.md."""
    caught = sum(findings.is_caught for _, findings in tried)
    by_dbt = sum(bool(findings.data_tests or findings.unit_tests) for _, findings in tried)
    lines = [
        "# Each permission rule broken on purpose, and who noticed",
        "",
        f"Made by `scripts/permission-mutants`: one small change of the dbt project at a time, a night of {PEOPLE:,} "
        "people made up. The gate's re-count and the oracle of the tests must both notice each; the number is how many "
        "decisions, permissions and places the oracle has otherwise. dbt's own tests (data tests of the night, unit "
        f"tests of the changed model) are shown besides. {caught} of {len(tried)} were caught by both, "
        f"{by_dbt} by dbt's tests as well; unbroken, nobody objects.",
        "",
        "| broken on purpose | rule | the gate's re-count | oracle | dbt's own tests |",
        "|---|---|---|---:|---|",
    ]
    for mutant, findings in tried:
        recount = ", ".join(findings.recount) or "**nobody**"
        oracle = f"{findings.oracle:,}" if findings.oracle else "**0**"
        tests = ", ".join((*findings.data_tests, *findings.unit_tests)) or "none"
        lines.append(f"| {mutant.name} | {mutant.rule} | {recount} | {oracle} | {tests} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every mutant was caught by both, 1 when one survived or the unbroken project was accused."""
    parser = argparse.ArgumentParser(prog="scripts/permission-mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="try the mutants whose name contains this, and write no report")
    given = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if given.only is None or given.only in mutant.name]
    logging.getLogger("recsys").setLevel(logging.ERROR)
    tried = []
    with tempfile.TemporaryDirectory(prefix="permission-mutants-") as folder:
        trial = Trial(Path(folder))
        for mutant in MUTANTS:  # all of them, before the first is tried
            mutant.applied(trial.project)
        unbroken = trial.run(unit_tests=True)
        sys.stdout.write(f"unbroken: {unbroken}\n")
        if not unbroken.is_clean:
            return 1
        for number, mutant in enumerate(chosen, start=1):
            started = perf_counter()
            findings = trial.run(mutant, unit_tests=True)
            tried.append((mutant, findings))
            sys.stdout.write(
                f"{number:>3}/{len(chosen)} {'caught  ' if findings.is_caught else 'SURVIVED'} {mutant.name}: "
                f"re-count {len(findings.recount)}, oracle {findings.oracle:,}, "
                f"dbt {len(findings.data_tests) + len(findings.unit_tests)} ({perf_counter() - started:.0f} s)\n"
            )
            sys.stdout.flush()
            if not findings.is_caught:
                sys.stdout.write(f"        {findings}\n")
    if given.only is None:
        REPORT.write_text(table(tried), encoding="utf-8")
    survivors = [mutant.name for mutant, findings in tried if not findings.is_caught]
    sys.stdout.write(f"{len(tried) - len(survivors)} of {len(tried)} caught by both\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
