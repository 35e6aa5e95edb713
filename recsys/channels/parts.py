"""Finished files written slice by slice, and split where a tool takes no larger ones."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import polars as pl

from recsys.channels.forms import encoded
from recsys.database import connect, copy_to_parquet, literal
from recsys.errors import CannotRender
from recsys.files import PRIVATE_FILE, private_folder, sync_folder

_END = ord("\n")


@dataclass(frozen=True)
class Limits:
    """What a tool takes in one file, the header's bytes included and its row not."""

    bytes: int | None = None
    rows: int | None = None


class Parts:
    """One finished file, `<stem>.<form>`, or several: `<stem>_2.<form>` and so on, each with the header.

    Nothing has its name before everything is written; whoever leaves by an exception leaves no file. A part is never
    larger than `limits`; raises CannotRender when one row alone is. Equal slices give equal bytes.
    """

    def __init__(self, folder: Path, stem: str, form: str, columns: tuple[str, ...], limits: Limits) -> None:
        self.folder = private_folder(folder)
        self.stem = stem
        self.suffix = f".{form}"
        self.limits = limits
        nobody = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        self.header = encoded(nobody, self.suffix) if form in {"csv", "txt"} else b""
        self.names: list[str] = []
        self.stream: IO[bytes] | None = None
        self.bytes = self.rows = 0
        self.slices: list[Path] = []
        self.nobody = nobody

    def __enter__(self) -> Self:
        self._open()
        return self

    def add(self, table: pl.DataFrame) -> None:
        """Write the rows of one slice behind those before."""
        if self.suffix == ".parquet":
            path = self._aside(f"slice{len(self.slices)}")
            table.write_parquet(path)
            self.slices.append(path)
        elif self.suffix == ".json":
            self._write(encoded(table, self.suffix), table.height)
        else:
            content = encoded(table, self.suffix, header=False)
            while content:
                taken, rows = self._fitting(content)
                if taken == 0 and self.rows == 0:
                    raise CannotRender(f"{self.names[-1]}: one row alone is larger than {self.limits.bytes:,} bytes.")
                if taken == 0:
                    self._open()
                    continue
                self._write(content[:taken], rows)
                content = content[taken:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.stream is not None:
                self.stream.close()
            if kind is None:
                if self.suffix == ".parquet":
                    self._join()
                for name in self.names:
                    self._aside(name).replace(self.folder / name)
                sync_folder(self.folder)
        finally:
            for path in (*self.slices, *map(self._aside, self.names)):
                path.unlink(missing_ok=True)

    def _fitting(self, content: bytes) -> tuple[int, int]:
        """How many bytes, of how many whole lines, still go into the part that is open."""
        ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == _END) + 1
        rows = len(ends)
        if self.limits.bytes is not None:
            rows = int(np.searchsorted(ends, self.limits.bytes - self.bytes, side="right"))
        if self.limits.rows is not None:
            rows = min(rows, self.limits.rows - self.rows)
        return (int(ends[rows - 1]), rows) if rows > 0 else (0, 0)

    def _open(self) -> None:
        if self.stream is not None:
            self.stream.close()
        number = len(self.names) + 1
        self.names.append(f"{self.stem}{f'_{number}' if number > 1 else ''}{self.suffix}")
        self.bytes = self.rows = 0
        path = self._aside(self.names[-1])
        path.touch(mode=PRIVATE_FILE)
        self.stream = path.open("wb")
        self._write(self.header, 0)

    def _write(self, content: bytes, rows: int) -> None:
        assert self.stream is not None  # noqa: S101 - open since __enter__
        self.stream.write(content)
        self.bytes += len(content)
        self.rows += rows

    def _join(self) -> None:
        """The slices as one Parquet file in their order."""
        if not self.slices:
            self.slices.append(self._aside("slice0"))
            self.nobody.write_parquet(self.slices[0])
        listed = ", ".join(literal(str(path)) for path in self.slices)
        with connect(folders=[self.folder]) as con:
            copy_to_parquet(con, f"SELECT * FROM read_parquet([{listed}])", self._aside(self.names[0]))

    def _aside(self, name: str) -> Path:
        return self.folder / f".{name}.tmp"
