"""DuckDB connections, opened the same careful way everywhere and closed promptly."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from recsys.files import replace_file


@contextmanager
def connect(
    path: Path | None = None, *, read_only: bool = False, folders: Sequence[Path] = (), threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can read and write files only below `folders`, never the network, in UTC.

    `path` None opens a database in memory. Extensions are never downloaded and settings cannot be changed back.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
    }
    if threads:
        config["threads"] = str(threads)
    con = duckdb.connect(str(path) if path else ":memory:", read_only=read_only, config=config)
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
        allowed = [f"{folder.resolve()}/" for folder in folders]
        if path:
            allowed.append(f"{path.resolve().parent}/")
        con.execute("SET allowed_directories = $allowed", {"allowed": allowed})
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        yield con
    finally:
        con.close()


def quoted(identifier: str) -> str:
    """An SQL identifier in quotes, safe whatever is in it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal. For places where DuckDB takes no bound value, such as COPY and ATTACH."""
    return "'" + text.replace("'", "''") + "'"


def copy_to_parquet(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write the result of a query, in its own order, as Parquet: whole or not at all, mode 0600.

    The folder of `path` must be one that the connection may write to. Order the query by a total order, so that the
    same rows give the same bytes. Large results travel this way; they never pass through Python.
    """
    replace_file(
        path,
        lambda aside: con.execute(f"COPY ({query}) TO {literal(str(aside))} (FORMAT parquet, COMPRESSION zstd)"),
        durable=False,
    )


def small_frame(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object] | None = None
) -> pl.DataFrame:
    """The result of a query as a polars frame. For reports of at most a few thousand rows; see `copy_to_parquet`."""
    result = con.execute(query, parameters or {})
    names = [column[0] for column in result.description or ()]
    return pl.DataFrame(result.fetchall(), schema=names, orient="row", infer_schema_length=None)
