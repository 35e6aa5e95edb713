"""Writes the demo shop's day folders: the same rows are the same bytes, and files already there are left alone."""

import filecmp
import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

import polars as pl

from recsys.demo.dirt import ROWS_AT_ONCE, spoil
from recsys.demo.sheets import Sheet
from recsys.files import private_folder, replace_file


def deliver(sheet: Sheet, day: int, rows: pl.DataFrame, path: Path, seed: int) -> bool:
    """Write one file. False when it was there already with the same bytes; then it is not touched."""
    private_folder(path.parent)
    aside = path.with_name(f".{path.name}.new")
    try:
        _write(sheet, day, rows, aside, seed)
        if path.is_file() and filecmp.cmp(aside, path, shallow=False):
            return False
        replace_file(path, aside.replace)
        return True
    finally:
        aside.unlink(missing_ok=True)


def _write(sheet: Sheet, day: int, rows: pl.DataFrame, path: Path, seed: int) -> None:
    parts = (
        spoil(sheet.table, day, number, sheet.render(rows[first : first + ROWS_AT_ONCE]), seed)
        for number, first in enumerate(range(0, max(len(rows), 1), ROWS_AT_ONCE))
    )
    if sheet.format == "parquet":
        pl.concat(parts).write_parquet(path, compression="zstd")
        return
    with path.open("wb") as stream:
        if sheet.format == "csv.gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=stream, mtime=0) as packed:
                _write_parts(sheet, parts, cast(IO[bytes], packed))
        else:
            _write_parts(sheet, parts, stream)


def _write_parts(sheet: Sheet, parts: Iterable[pl.DataFrame], stream: IO[bytes]) -> None:
    for number, part in enumerate(parts):
        if sheet.format == "jsonl":
            part.write_ndjson(stream)
        else:
            part.write_csv(stream, include_header=number == 0, separator=sheet.delimiter)
