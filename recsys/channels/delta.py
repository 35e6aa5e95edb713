"""What changed since what a tool may hold: row by row, by the hash of everything that a finished row says.

`held` are the rows of `sync_tool__held`: what the tool holds if the last delivered night arrived, and what it may hold
besides if nights after it did, of which nobody knows. Only what every possibility agrees on need not be said again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from recsys.channels.base import read_decisions
from recsys.database import connect, copy_to_parquet, literal

STATE = {"customer_id": pl.String, "email": pl.String, "phone": pl.String, "row_sha": pl.String}


@contextmanager
def hashing(beside: Path) -> Iterator[Callable[[pl.DataFrame], pl.Series]]:
    """A function from finished rows to their `row_sha`, in their order: the hex SHA-256 of everything a row says.

    Hashed is the row as JSON with the names of its columns, so that an empty cell differs from an empty text and a
    renamed column from the old one. Works below a folder in `beside` that is gone afterwards.
    """
    numbers = count()
    with ExitStack() as opened:

        @cache
        def workplace() -> tuple[Path, duckdb.DuckDBPyConnection]:
            folder = Path(opened.enter_context(TemporaryDirectory(dir=beside, prefix=".state-")))
            return folder, opened.enter_context(connect(folders=[folder]))

        def row_shas(rows: pl.DataFrame) -> pl.Series:
            (folder, con), number = workplace(), next(numbers)
            said, hashed = (folder / f"{what}{number}.parquet" for what in ("said", "hashed"))
            texts = rows.select(pl.struct(pl.all()).struct.json_encode().alias("said"))
            texts.write_parquet(said, compression="uncompressed", statistics=False, row_group_size=_TOGETHER)
            copy_to_parquet(con, f"SELECT sha256(said) AS row_sha FROM read_parquet({literal(str(said))})", hashed)
            shas = pl.read_parquet(hashed, schema={"row_sha": pl.String}).to_series()
            said.unlink()
            hashed.unlink()
            return shas

        yield row_shas


_TOGETHER = 4_096
"""So many rows are hashed by one thread at a time."""


def held(decisions: Path, channel: str) -> pl.DataFrame:
    """What the tool of a channel may hold: customer_id, email, phone, row_sha, is_everywhere."""
    return read_decisions(decisions, "sync_tool__held").filter(pl.col("channel") == channel).drop("channel")


def changed(tonight: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """customer_id of those of tonight's state whose row the tool does not hold for certain."""
    certain = before.filter("is_everywhere")
    return tonight.join(certain, on=["customer_id", "row_sha"], how="anti", nulls_equal=True).select("customer_id")


def left(tonight: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """customer_id, email and phone, as they stood in the file, of whom tonight's state lacks or has under others."""
    key = ["customer_id", "email", "phone"]
    return before.select(key).unique().join(tonight, on=key, how="anti", nulls_equal=True).sort(key)
