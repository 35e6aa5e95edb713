"""What dbt ran for the toy night, statement for statement, run for other nights without starting dbt.

Models with their constraints, and data tests; only the folder in them is another one. A night costs a second instead
of twenty. That it is the same night, byte for byte, is a thorough test of test_decide.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recsys import dbt
from recsys.errors import FeaturesFailed
from recsys.night import Night


class Recorded:
    """The statements of a night that is done, by node, in an order in which they can be run."""

    def __init__(self, night: Night, target: Path) -> None:
        manifest = json.loads((target / "manifest.json").read_text())
        self.folder = str(night.folder)
        nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] in {"model", "test"}}
        order = TopologicalSorter({key: sorted(node["depends_on"]["nodes"]) for key, node in nodes.items()})
        self.nodes: dict[str, dict[str, Any]] = {key: nodes[key] for key in order.static_order() if key in nodes}
        files = {path.stem: path for path in (target / "run").rglob("*.sql")}
        self.sql = {key: files[node["alias"]].read_text() for key, node in self.nodes.items()}

    def build(self, night: Night, tag: str) -> int:
        """In the place of `recsys.dbt.build`. Raises FeaturesFailed naming the data tests that fail."""
        models = [key for key, node in self.nodes.items() if key.startswith("model.") and tag in node["tags"]]
        there = {key for key, node in self.nodes.items() if tag == "decide" or tag in node["tags"]}
        with self._open(night) as con:
            self._make(con, night, models)
            failed = [
                node["name"]
                for key, node in self.nodes.items()
                if key.startswith("test.")
                and set(models) & set(node["depends_on"]["nodes"])
                and there.issuperset(node["depends_on"]["nodes"])
                and con.execute(self._of(key, night)).fetchall()[0][0]
            ]
        if failed:
            raise FeaturesFailed(f"{len(failed)} data tests failed: {', '.join(failed)}")
        return len(models)

    def run(self, night: Night, command: str, *arguments: str) -> list[dbt.Node]:
        """In the place of `recsys.dbt.run`, for `run --select +model +model`."""
        assert (command, arguments[0]) == ("run", "--select")
        wanted = {f"model.recsys.{argument.removeprefix('+')}" for argument in arguments[1:]}
        for key in reversed(self.nodes):
            if key in wanted:
                wanted.update(self.nodes[key]["depends_on"]["nodes"])
        models = [key for key in self.nodes if key in wanted]
        with self._open(night) as con:
            self._make(con, night, models)
        return [dbt.Node(key, "success", "") for key in models]

    def _of(self, key: str, night: Night) -> str:
        return self.sql[key].replace("__dbt_tmp", "").replace(self.folder, str(night.folder))

    def _make(self, con: duckdb.DuckDBPyConnection, night: Night, models: list[str]) -> None:
        for key in models:
            node = self.nodes[key]
            kind = "VIEW" if node["config"]["materialized"] == "view" else "TABLE"
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {node['schema']}")
            con.execute(f"DROP {kind} IF EXISTS {node['schema']}.{node['alias']}")
            con.execute(self._of(key, night))
            if node["config"]["persist_docs"].get("relation"):
                for what, said in self._described(node):
                    con.execute(f"COMMENT ON {what} IS $said${said}$said$")

    def _described(self, node: dict[str, Any]) -> Iterator[tuple[str, str]]:
        relation = f"{node['schema']}.{node['alias']}"
        yield f"TABLE {relation}", node["description"]
        for column in node["columns"].values():
            yield f'COLUMN {relation}."{column["name"]}"', column["description"]

    @contextmanager
    def _open(self, night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
        settings = {"threads": "2", "memory_limit": "2GB", "preserve_insertion_order": "false"}
        mask = os.umask(0o077)
        try:
            with duckdb.connect(str(night.warehouse), config=settings) as con:
                con.execute("SET TimeZone = 'UTC'")
                yield con
        finally:
            os.umask(mask)

    @contextmanager
    def instead_of_dbt(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dbt, "build", self.build)
            patch.setattr(dbt, "run", self.run)
            yield
