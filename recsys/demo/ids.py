"""Ids and moments as they appear in the demo shop's files, made from the numbers the simulation counts with."""

import polars as pl

from recsys.demo.purchases import NOBODY

_VISITOR_FACTOR = 2_654_435_761
"""Odd, so that multiplying by it modulo 2**32 gives every visitor a different number that says nothing."""


def customer_ids(numbers: str = "customer") -> pl.Expr:
    """Customer ids of a column of customer numbers; null for NOBODY."""
    return pl.when(pl.col(numbers) != NOBODY).then(_numbered("C", numbers, 7))


def old_ids(numbers: str = "customer") -> pl.Expr:
    """The ids that customers had before; no customers file knows them."""
    return _numbered("L", numbers, 7)


def visitor_ids(numbers: str = "visitor") -> pl.Expr:
    """Visitor ids of a column of visitor numbers; null for NOBODY."""
    mixed = ((pl.col(numbers).cast(pl.Int64) + 1) * _VISITOR_FACTOR) % 2**32
    return pl.when(pl.col(numbers) != NOBODY).then(pl.lit("V") + mixed.cast(pl.String).str.zfill(10))


def order_ids() -> pl.Expr:
    """Order ids of the column `order`."""
    return _numbered("O", "order", 9)


def event_ids() -> pl.Expr:
    """Event ids of the column `event`."""
    return _numbered("E", "event", 9)


def message_ids() -> pl.Expr:
    """Message ids of the column `message`."""
    return _numbered("M", "message", 9)


def product_ids(ids: pl.Series, numbers: pl.Series) -> pl.Series:
    """Product ids of a column of product numbers, `sku`; null for NOBODY."""
    with_nobody = pl.concat([ids, pl.Series(ids.name, [None], dtype=pl.String)])
    return with_nobody[numbers.cast(pl.Int64).replace(NOBODY, len(ids))].alias("sku")


def utc(moments: str) -> pl.Expr:
    """A column of moments as text: 2026-08-31T10:15:00Z."""
    return pl.from_epoch(moments, time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _numbered(letter: str, column: str, digits: int) -> pl.Expr:
    return pl.lit(letter) + (pl.col(column) + 1).cast(pl.String).str.zfill(digits)
