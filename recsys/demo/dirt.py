"""The demo shop's faulty rows: few, each with exactly one fault, and all of them known beforehand.

A faulty row stands for nobody and nothing: it is a copy of a good row under an id of its own, with one field spoilt.
Permission tables have none.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.draws import stream
from recsys.demo.horizon import calendar_day

DIRT_SHARE = 0.002
"""Faulty rows per good row of a file; a file of fewer than 500 rows has none."""
ROWS_AT_ONCE = 1_000_000
"""Files are made in parts of this many good rows."""


@dataclass(frozen=True)
class Fault:
    """What is put into which field of the file, and which contract column that spoils."""

    field: str
    value: str | int | None
    column: str


FAULTS: dict[str, tuple[Fault, ...]] = {
    "customers": (
        Fault("id", None, "customer_id"),
        Fault("born", "n/a", "birth_year"),
        Fault("changed", "2026-02-30T10:00:00Z", "updated_at"),
    ),
    "products": (Fault("title", None, "name"), Fault("price_cents", -100, "price")),
    "order_lines": (
        Fault("price", "n/a", "unit_price"),
        Fault("order_no", None, "order_id"),
        Fault("ordered", "2026-02-30T12:00:00Z", "ordered_at"),
        Fault("pieces", "two", "quantity"),
    ),
    "web_events": (
        Fault("event", "teleport", "event_type"),
        Fault("time", "2026-13-01T00:00:00Z", "occurred_at"),
        Fault("event_id", None, "event_id"),
    ),
    "engagements": (Fault("event", "opened", "event_type"), Fault("message", None, "message_id")),
}

_OWN_ID = {"customers": "id", "products": "sku", "order_lines": "order_no", "web_events": "event_id"}


def faulty_rows(table: str, day: int, rows: int) -> pl.DataFrame:
    """What `spoil` does to a whole file of `rows` good rows: day DATE, table_name, column_name, rows."""
    faults = FAULTS.get(table, ())
    kinds = [
        fault.column
        for first in range(0, rows, ROWS_AT_ONCE)
        for fault in _faults_of_part(faults, min(ROWS_AT_ONCE, rows - first))
    ]
    return (
        pl.DataFrame({"column_name": kinds}, schema={"column_name": pl.String})
        .group_by("column_name")
        .agg(rows=pl.len().cast(pl.Int64))
        .sort("column_name")
        .select(pl.lit(calendar_day(day)).alias("day"), pl.lit(table).alias("table_name"), "column_name", "rows")
    )


def _faults_of_part(faults: tuple[Fault, ...], rows: int) -> list[Fault]:
    return [faults[number % len(faults)] for number in range(int(rows * DIRT_SHARE))] if faults else []


def spoil(table: str, day: int, part: int, good: pl.DataFrame, seed: int) -> pl.DataFrame:
    """One part of a file with its faulty rows in between; the part itself when it is to have none."""
    faults = _faults_of_part(FAULTS.get(table, ()), len(good))
    if not faults:
        return good
    places = np.sort(stream(seed, f"dirt {table} {day} {part}").choice(len(good), len(faults), replace=False))
    copies = good[places]
    if table in _OWN_ID:
        own = pl.format("{}-{}-{}-{}", _OWN_ID[table], pl.lit(day), pl.lit(part), pl.int_range(pl.len()))
        copies = copies.with_columns(own.alias(_OWN_ID[table]))
    kinds = len(FAULTS[table])
    for number, fault in enumerate(FAULTS[table]):
        is_spoilt = pl.int_range(pl.len()) % kinds == number
        spoilt = pl.lit(fault.value, dtype=good.schema[fault.field])
        copies = copies.with_columns(pl.when(is_spoilt).then(spoilt).otherwise(pl.col(fault.field)).alias(fault.field))
    order = np.argsort(np.concatenate([np.arange(len(good)) * 2, places * 2 + 1]), kind="stable")
    return pl.concat([good, copies])[order]
