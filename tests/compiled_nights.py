"""A night's decisions from the models as dbt compiled them for another night, without starting dbt again.

For laws that are tried on many nights: the SQL is the very same, only the folder in it is another one.
"""

import json
from pathlib import Path

import duckdb
from dbt_nights import Built

from recsys.decide import HANDED_ON
from recsys.night import Night


class Compiled:
    """Every model that the decisions rest on, in an order in which they can be made."""

    def __init__(self, built: Built) -> None:
        manifest = json.loads((built.target / "manifest.json").read_text())
        nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
        self.folder = str(built.night.folder)
        self.models: list[tuple[str, str, str]] = []
        done: set[str] = set()

        def visit(key: str) -> None:
            if key in done or key not in nodes:
                return
            done.add(key)
            for parent in nodes[key]["depends_on"]["nodes"]:
                visit(parent)
            node = nodes[key]
            kind = "VIEW" if node["config"]["materialized"] == "view" else "TABLE"
            self.models.append((kind, f"{node['schema']}.{node['name']}", built.sql(node["name"])))

        wanted = {query.split(" FROM ")[1].split()[0].split(".")[1] for query in HANDED_ON.values()}
        for key, node in nodes.items():
            if node["name"] in wanted:
                visit(key)

    def decide(self, night: Night) -> None:
        """Write the night's `decisions/`, as the decide stage would; needs raw/ and recommendations.parquet."""
        night.decisions.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(":memory:", config={"threads": "2"}) as con:
            con.execute("ATTACH ':memory:' AS warehouse; USE warehouse; SET TimeZone = 'UTC'")
            for schema in ("staging", "intermediate", "core", "features", "marketing", "exports"):
                con.execute(f"CREATE SCHEMA {schema}")
            for kind, name, sql in self.models:
                con.execute(f"CREATE {kind} {name} AS {sql.replace(self.folder, str(night.folder))}")
            for name, query in HANDED_ON.items():
                con.execute(f"COPY ({query}) TO '{Path(night.decisions, name)}.parquet' (FORMAT parquet)")
