"""Finds the rows of erased people in tables of our own: published files and the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from recsys.database import connect
from recsys.suppression.key import Key

IDS = ("customer_id", "visitor_id")
HASHED = "hashed_address"
"""Kind of an address that is in the files of advertising platforms: its SHA-256, by any platform's rules."""
ADDRESSES = {
    "email": ("email", HASHED),
    "phone": ("phone", HASHED),
    "Email": ("email", HASHED),
    "Phone": ("phone", HASHED),
    "address": ("email", "phone"),
}
"""Column -> the kinds of address it may hold."""


@dataclass
class Marks:
    """Keyed hashes of ids and addresses (kind, hash, person), and which values were found to be among them.

    Every distinct value is hashed once, however many files it is in.
    """

    key: Key
    hashes: pl.DataFrame
    _seen: dict[str, pl.DataFrame] = field(default_factory=dict)

    def found(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are theirs, with their `person`: by id, and by address only where the table has no ids."""
        ids = [column for column in rows.columns if column in IDS]
        looked_at = [(column, "customer_id") for column in ids] or [
            (column, kind) for column in rows.columns for kind in ADDRESSES.get(column, ())
        ]
        numbered = rows.with_row_index("_row")
        if not looked_at:
            return numbered.clear().with_columns(person=pl.lit(None, pl.String))
        parts = [
            numbered.join(self._values(rows[column], kind), left_on=column, right_on="value", how="inner")
            for column, kind in looked_at
        ]
        return pl.concat(part.select(*numbered.columns, "person") for part in parts).unique(
            ["_row"], keep="first", maintain_order=True
        )

    def without(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not theirs, in their order."""
        theirs = self.found(rows)
        return rows.with_row_index("_row").join(theirs, on="_row", how="anti", maintain_order="left").drop("_row")

    def _values(self, column: pl.Series, kind: str) -> pl.DataFrame:
        """value and person, of those values of a column that are theirs."""
        seen = self._seen.get(kind, pl.DataFrame(schema={"value": pl.String, "hash": pl.String}))
        distinct = column.drop_nulls().cast(pl.String).unique().to_frame("value")
        if kind == HASHED:
            distinct = distinct.filter(pl.col("value").str.contains("^[0-9a-f]{64}$"))
        new = distinct.join(seen, on="value", how="anti")
        seen = self._seen[kind] = pl.concat([seen, _hashed(self.key, new["value"], kind)])
        theirs = self.hashes.filter(pl.col("kind") == kind).select("hash", "person").unique("hash", keep="first")
        return distinct.join(seen, on="value").join(theirs, on="hash").select("value", "person")


def _hashed(key: Key, values: Iterable[str], kind: str) -> pl.DataFrame:
    normal = {"email": "normalised_email(value)", "phone": "normalised_phone(value)"}.get(kind, "value")
    with connect() as con:
        key.define(con)
        rows = con.execute(
            f"SELECT value, coalesce(keyed({normal}), '') FROM (SELECT unnest($values::VARCHAR[]) AS value)",
            {"values": list(values)},
        ).fetchall()
    return pl.DataFrame(rows, schema={"value": pl.String, "hash": pl.String}, orient="row")
