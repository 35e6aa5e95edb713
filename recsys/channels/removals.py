"""The files beside an audience's file: who has left it since the last one, and rows that clear what the tool still has.

They are to be imported before the audience's own file: an address that moved to another customer is then taken out
first and put back with its new owner.
"""

from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import read_decisions
from recsys.channels.table_file import TableFile
from recsys.errors import CannotRender

IDENTIFIERS = ("customer_id", "email")


class BesideFile(TableFile):
    """A file about the people who left an audience, named `<audience>_<what>_<YYYYMMDD>`.

    `columns_beside` are the columns of the audience's own file. Rows are ordered by customer_id, then address.
    """

    exact = frozenset(IDENTIFIERS)

    what: str

    def __init__(self, audience: str, kind: str, columns_beside: tuple[str, ...], form: str = "csv") -> None:
        self.name = f"{audience}_{self.what}"
        self.audience = audience
        self.kind = kind
        self.columns_beside = columns_beside
        self.format = form
        self.keys = [name for name in IDENTIFIERS if name in columns_beside]

    def removals(self, decisions: Path) -> pl.DataFrame:
        """Who left. Raises StageInputMissing without decisions, CannotRender when somebody left twice."""
        rows = read_decisions(decisions, f"sync_{self.kind}__removals").filter(pl.col("channel") == self.audience)
        repeated = rows.select(pl.struct(self.keys).is_duplicated().sum()).item()
        nameless = rows["customer_id"].null_count()
        if repeated or nameless:
            raise CannotRender(
                f"{self.name}: {repeated} rows repeat and {nameless} rows lack customer_id. Run decide again."
            )
        return rows.sort(self.keys)


class RemoveFile(BesideFile):
    """One row per person who was in the audience's last file and is not in tonight's, or not under that address.

    A header alone when everybody stayed. A changed address is a row with the old one.
    """

    what = "remove"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, "left_since", "reason")

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:  # noqa: ARG002
        return self.removals(decisions)


class ClearFile(BesideFile):
    """The audience's own columns, one row per row of its remove file, everything empty but who it is and run_date.

    Imported by a tool that lets empty cells overwrite, it wipes the recommendations of people who left. It holds
    nothing that a tool could take for a subscription, and no name.
    """

    what = "clear"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.columns_beside

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        empty = [name for name in self.columns if name not in {*self.keys, "run_date"}]
        return self.removals(decisions).select(
            *self.keys,
            pl.lit(run_date, pl.Date).alias("run_date"),
            *(pl.lit(None, pl.String).alias(name) for name in empty),
        )
