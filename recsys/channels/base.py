"""The interface of a channel: decisions in, finished files out."""

from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path

import polars as pl

from recsys.errors import CannotRender, StageInputMissing


class Channel(ABC):
    """One audience; subclasses are its kinds. `name` is the audience's folder and the start of its files' names."""

    name: str

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of the file in their order, the same for every night and however many rows there are."""

    @abstractmethod
    def files(self, run_date: date) -> tuple[str, ...]:
        """Names of the files that a night must have of this audience, its own first."""

    @abstractmethod
    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        """Write the finished file of this audience into `folder` and say how many rows it has.

        Reads `decisions/*.parquet` and nothing else. No rows give a file without rows, never no file.
        Raises StageInputMissing without decisions, and CannotRender when they do not make a valid file.
        """


def read_decisions(decisions: Path, table: str) -> pl.DataFrame:
    """One exported table as `decide` left it. Raises StageInputMissing when there is none."""
    path = decisions / f"{table}.parquet"
    if not path.is_file():
        raise StageInputMissing(f"{path}: not there. Run decide first.")
    return pl.read_parquet(path)


def require_distinct(frame: pl.DataFrame, key: tuple[str, ...], what: str) -> None:
    """Raise CannotRender when two rows share the key or a part of it is missing."""
    repeated = frame.height - frame.select(pl.struct(key).n_unique()).item() if frame.height else 0
    missing = frame.select(pl.any_horizontal(pl.col(key).is_null()).sum()).item()
    if repeated or missing:
        raise CannotRender(
            f"{what}: {repeated} rows repeat and {missing} rows lack {' and '.join(key)}. Run decide again."
        )
