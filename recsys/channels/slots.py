"""Files with one row per recipient and the recommended products side by side in numbered slots.

Beside each of them lie the files about those who left the audience: see `recsys.channels.removals`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from recsys.channels.base import CHECK_IN_MOMENT, RECOMMENDATIONS, Kind, read_decisions, require_distinct
from recsys.channels.check_in import CheckInFile
from recsys.channels.forms import read_rows
from recsys.channels.removals import BesideFile, ClearFile, RemoveFile
from recsys.channels.table_file import TableFile
from recsys.channels.wording import Wording
from recsys.errors import CannotRender
from recsys.vocabulary import ContactChannel

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings
    from recsys.config import Shop


class SlotFile(TableFile, Kind):
    """One row per recipient ordered by customer_id; `rec_1_id` and so on, empty where the list is shorter.

    Its columns are fixed, and its files are full ones.
    """

    formats = ("csv", "jsonl", "parquet")
    contact_channels = tuple(ContactChannel)
    default_moments = (RECOMMENDATIONS, CHECK_IN_MOMENT)

    def __init__(self, name: str, slots: int, wording: Wording | None = None, form: str = "csv") -> None:
        self.name = name
        self.slots = slots
        self.wording = wording or Wording()
        self.format = form

    @classmethod
    def of(cls, settings: "ChannelSettings", shop: "Shop") -> Self:
        return cls(settings.name, settings.slots, Wording(shop.reasons, settings.language), settings.format)

    @classmethod
    def check(cls, settings: "ChannelSettings") -> None:
        super().check(settings)
        if set(settings.fields) != set(cls.fields):
            raise ValueError(f"fields: the columns of {cls.kind} are fixed; leave fields out")

    def check_in(self, topics: int) -> CheckInFile:
        return CheckInFile(self.name, self.recipient_columns, topics, self.format)

    def read(self, path: Path) -> pl.DataFrame:
        return read_rows(path)

    @property
    @abstractmethod
    def recipient_columns(self) -> tuple[str, ...]:
        """What is said about the recipient, customer_id first."""

    @property
    @abstractmethod
    def slot_columns(self) -> Mapping[str, str]:
        """What is said about each product: `rec_<slot>_<key>` holds the items' column <value>."""

    @property
    def columns(self) -> tuple[str, ...]:
        slots = (f"rec_{slot}_{cell}" for slot in range(1, self.slots + 1) for cell in self.slot_columns)
        return (*self.recipient_columns, "run_date", *slots)

    @property
    def exact(self) -> frozenset[str]:
        return frozenset({"customer_id", "email", *(f"rec_{slot}_id" for slot in range(1, self.slots + 1))})

    def files(self, run_date: date) -> tuple[str, ...]:
        return (*super().files(run_date), *(name for beside in self._beside() for name in beside.files(run_date)))

    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        """Write the audience's file, and beside it the files about those who left; rows of the audience's own."""
        rows = super().render(decisions, folder, run_date)
        for beside in self._beside():
            beside.render(decisions, folder, run_date)
        return rows

    def _beside(self) -> tuple[BesideFile, ...]:
        return tuple(what(self.name, self.kind, self.columns, self.format) for what in (RemoveFile, ClearFile))

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        ours = pl.col("channel") == self.name
        recipients = read_decisions(decisions, f"sync_{self.kind}__recipients").filter(ours)
        items = read_decisions(decisions, f"sync_{self.kind}__items").filter(ours)
        self._check(recipients, items)
        items = self.wording.said(items, recipients)
        table = recipients.select(*self.recipient_columns, pl.lit(run_date, pl.Date).alias("run_date"))
        table = table.sort("customer_id")
        for slot in range(1, self.slots + 1):
            cells = (pl.col(column).alias(f"rec_{slot}_{cell}") for cell, column in self.slot_columns.items())
            of_slot = items.filter(pl.col("rank") == slot).select("customer_id", *cells)
            table = table.join(of_slot, on="customer_id", how="left", maintain_order="left")
        return table

    def _check(self, recipients: pl.DataFrame, items: pl.DataFrame) -> None:
        require_distinct(recipients, ("customer_id",), f"{self.name}: recipients")
        require_distinct(items, ("customer_id", "rank"), f"{self.name}: items")
        outside = items.filter(~pl.col("rank").is_between(1, self.slots)).height
        strangers = items.join(recipients, on="customer_id", how="anti").height
        if outside or strangers:
            raise CannotRender(
                f"{self.name}: {outside} items have a rank outside 1 to {self.slots} and {strangers} belong to nobody "
                "in the audience. Run decide again."
            )
