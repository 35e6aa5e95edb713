"""Takes the result of a SQL query over a company's PostgreSQL database, in columns, through ADBC."""

import os
from datetime import datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi as postgresql
import polars as pl

from recsys.config import Shop
from recsys.errors import ConfigError, SourceRefused, Transient
from recsys.table_settings import TableSource
from recsys.tables import write_parquet


def fetch(shop: Shop, table: str, source: TableSource, night_end: datetime, target: Path) -> None:
    """Run the table's query and write its result to `target` as Parquet, ordered by all its columns.

    `$1` in the query, when it is there, is the night's end (timestamp, UTC). The address of the database comes from the
    environment variable that the shop file names, and appears in no message.
    Raises ConfigError when the variable is empty, Transient when the database cannot be reached, SourceRefused when
    the query fails.
    """
    assert source.query is not None and source.database_env is not None  # noqa: S101, PT018 (checked on load)
    uri = os.environ.get(source.database_env, "")
    if not uri:
        raise ConfigError(
            f"{shop.path}: tables.{table}.database_env: the environment variable {source.database_env} is not set; "
            "it holds the database's address, such as postgresql://reader@db.example/shop."
        )
    if not uri.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            f"{shop.path}: tables.{table}.database_env: {source.database_env} does not begin with postgresql://, "
            "the only kind of database that is read."
        )
    parameters = [night_end] if "$1" in source.query else None
    try:
        connection = postgresql.connect(uri)
    except postgresql.Error as error:
        raise Transient(
            f"tables.{table}: the database named by {source.database_env} cannot be reached ({type(error).__name__})."
        ) from None
    with connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute(source.query, parameters)
                frame = pl.DataFrame(cursor.fetch_polars())
        except (postgresql.OperationalError, postgresql.InterfaceError) as error:
            raise Transient(f"tables.{table}: the connection was lost ({type(error).__name__}). Try again.") from None
        except (postgresql.Error, pl.exceptions.PolarsError) as error:
            # only what PostgreSQL says of the query's own text (class 42) is quoted: the rest may hold values of rows
            is_about_sql = str(getattr(error, "sqlstate", "") or "").startswith("42")
            said = str(error).splitlines()[0] if is_about_sql else "Run it in the database to see the row's fault."
            raise SourceRefused(
                f"{shop.path}: tables.{table}.query failed in the database ({type(error).__name__}). {said}"
            ) from None
    sortable = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
    write_parquet(frame.sort(sortable, nulls_last=True, maintain_order=True), target)
