"""A channel whose finished file is one table, written at once."""

from abc import abstractmethod
from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import Channel
from recsys.channels.forms import write_table


class TableFile(Channel):
    """One file, `<name>_<YYYYMMDD>.<format>`."""

    format = "csv"

    @property
    @abstractmethod
    def exact(self) -> frozenset[str]:
        """Columns that a tool looks rows up by. They leave byte for byte as they came, or not at all."""

    @abstractmethod
    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        """The file's rows in its order with exactly its columns: texts, decimals, dates, moments as decided."""

    def files(self, run_date: date) -> tuple[str, ...]:
        return (f"{self.name}_{run_date:%Y%m%d}.{self.format}",)

    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        table = self.table(decisions, run_date).select(self.columns)
        write_table(table, folder / self.files(run_date)[0], self.exact)
        return table.height
