"""What changed since what a tool may hold: row by row, by the hash of everything that a finished row says.

`held` are the rows of `sync_tool__held`: what the tool holds if the last delivered night arrived, and what it may hold
besides if nights after it did, of which nobody knows. Only what every possibility agrees on need not be said again.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from recsys.channels.base import read_decisions
from recsys.database import connect, copy_to_parquet, literal

STATE = {"customer_id": pl.String, "email": pl.String, "phone": pl.String, "row_sha": pl.String}


def state(slices: Iterable[pl.DataFrame], beside: Path) -> pl.DataFrame:
    """customer_id, email, phone and `row_sha`, the hex SHA-256 of `said`, of slices with these columns and `said`.

    `said` is the row's cells with their names as JSON, so that an empty cell differs from an empty text and a renamed
    column from the old one. Hashed below a folder in `beside` that is gone afterwards.
    """
    with TemporaryDirectory(dir=beside, prefix=".state-") as scratch:
        folder = Path(scratch)
        paths = []
        for number, some in enumerate(slices):
            paths.append(folder / f"{number}.parquet")
            some.select("customer_id", "email", "phone", "said").write_parquet(paths[-1])
        if not paths:
            return pl.DataFrame(schema=STATE)
        listed = ", ".join(literal(str(path)) for path in paths)
        with connect(folders=[folder]) as con:
            query = f"SELECT customer_id, email, phone, sha256(said) AS row_sha FROM read_parquet([{listed}])"
            copy_to_parquet(con, query, folder / "hashed.parquet")
        return pl.read_parquet(folder / "hashed.parquet", schema=STATE)


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
