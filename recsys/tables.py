"""Contract tables as polars frames: their schema, and how they are written so that equal rows give equal bytes."""

from pathlib import Path

import polars as pl

from recsys.contracts import Contract, SqlType
from recsys.files import replace_file

POLARS_TYPES: dict[SqlType, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BIGINT": pl.Int64(),
    "INTEGER": pl.Int32(),
    "DECIMAL(18,4)": pl.Decimal(18, 4),
    "BOOLEAN": pl.Boolean(),
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date(),
    "VARCHAR[]": pl.List(pl.String()),
}


def schema_of(contract: Contract) -> pl.Schema:
    """The polars schema of a contract table, columns in the contract's order."""
    return pl.Schema({column.name: POLARS_TYPES[column.type] for column in contract.columns})


def write_parquet(frame: pl.DataFrame, path: Path, *, durable: bool = False) -> None:
    """Write a frame as Parquet, whole or not at all; equal frames give equal bytes. `durable`: see `recsys.files`."""
    replace_file(path, lambda aside: frame.write_parquet(aside, compression="zstd", statistics=True), durable=durable)
