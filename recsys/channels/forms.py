"""The forms of finished files, told by the end of their names, and how each is read back as a table of texts.

csv and txt (tab-delimited) as `recsys.channels.csv_file` says; jsonl: one object per line, texts and nulls; parquet:
one column per column; json: one Klaviyo request per line, its profiles are the rows.
"""

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path

import polars as pl

from recsys.channels import requests
from recsys.channels.csv_file import as_cells
from recsys.files import replace_file

DELIMITERS = {".csv": ",", ".txt": "\t"}
_CHUNK = 1 << 20


def write_table(table: pl.DataFrame, path: Path, exact: Collection[str]) -> None:
    """Write a table in the form that the path ends with, whole or not at all; cells as in `csv_file.as_cells`.

    A jsonl file without rows is empty: it has no header to say which columns there would be.
    """
    cells = as_cells(table, exact, path.name)
    replace_file(path, lambda aside: aside.write_bytes(encoded(cells, path.suffix)))


def encoded(cells: pl.DataFrame, suffix: str, *, header: bool = True) -> bytes:
    """A table of texts as the bytes of a file of this form."""
    stream = io.BytesIO()
    if suffix in DELIMITERS:
        cells.write_csv(
            stream, separator=DELIMITERS[suffix], quote_style="always", line_terminator="\n", include_header=header
        )
    elif suffix == ".jsonl":
        cells.write_ndjson(stream)
    elif suffix == ".json":
        stream.write(requests.encoded(cells))
    else:
        cells.write_parquet(stream, compression="zstd", statistics=True)
    return stream.getvalue()


def read_rows(path: Path) -> pl.DataFrame:
    """A finished file as texts, an empty cell as null; of a jsonl file without rows not even the columns are known."""
    if path.suffix in DELIMITERS:
        rows = pl.read_csv(path, separator=DELIMITERS[path.suffix], infer_schema=False)
    elif path.suffix == ".jsonl":
        rows = _lines(path)
    elif path.suffix == ".json":
        rows = requests.read(path)
    else:
        rows = pl.read_parquet(path)
    return rows.with_columns(pl.col(pl.String).replace("", None))


def _lines(path: Path) -> pl.DataFrame:
    names = _keys(path)
    if not names:
        return pl.DataFrame()
    return pl.read_ndjson(path, schema=dict.fromkeys(names, pl.String))


def _keys(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as stream:
        first = stream.readline()
    return list(json.loads(first)) if first else []


def contents(path: Path) -> tuple[int, tuple[str, ...]]:
    """Rows and columns of a finished file, counted in its bytes."""
    if path.suffix == ".parquet":
        return int(pl.scan_parquet(path).select(pl.len()).collect().item()), tuple(pl.read_parquet_schema(path))
    if path.suffix == ".json":
        return requests.count(path), ("requests",)
    with path.open("rb") as stream:
        header = stream.readline().decode("utf-8") if path.suffix in DELIMITERS else ""
        rows = 0
        while chunk := stream.read(_CHUNK):
            rows += chunk.count(b"\n")
    if path.suffix in DELIMITERS:
        return rows, tuple(next(csv.reader([header], delimiter=DELIMITERS[path.suffix]), ()))
    return rows, tuple(_keys(path))
