"""The typed rows of one source file, read in one way: where they lie, and how they are made from its bytes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys.contracts import CONTRACTS
from recsys.errors import SourceRefused
from recsys.files import read_json, sha256_of
from recsys.ingest.mapping import map_rows
from recsys.ingest.rows import read_source
from recsys.ingest.sources import SourceFile
from recsys.table_settings import TableSource

FORMAT = 2
"""Raised when the meaning of landed files changes, so that they are made anew."""


@dataclass(frozen=True)
class Landed:
    """Where one file's typed rows lie, by the file's hash and the mapping's."""

    folder: Path
    sha256: str
    mapping: str

    @property
    def good(self) -> Path:
        return self.folder / f"{self.sha256}-{self.mapping}.parquet"

    @property
    def bad(self) -> Path:
        return self.folder / f"{self.sha256}-{self.mapping}.bad.parquet"

    @property
    def card(self) -> Path:
        return self.folder / f"{self.sha256}-{self.mapping}.json"

    @property
    def is_whole(self) -> bool:
        """The card is written last and knows how long the other two are."""
        try:
            return list(read_json(self.card)["bytes"]) == [self.good.stat().st_size, self.bad.stat().st_size]
        except (OSError, ValueError, KeyError, TypeError):
            return False


def mapping_hash(table: str, source: TableSource) -> str:
    """Twelve hex digits that change whenever a file of the table would be read differently."""
    content = {
        "format": FORMAT,
        "contract": repr(CONTRACTS[table]),
        "source": source.model_dump(
            mode="json", include={"format", "csv", "fields", "columns", "skip", "duplicates"}, exclude_none=True
        ),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def map_file(
    con: duckdb.DuckDBPyConnection, landing: Path, source: TableSource, file: SourceFile, landed: Landed
) -> None:
    """Write the typed rows of a file from our copy of its bytes.

    Raises SourceRefused when the copy is gone or damaged, or does not fit the shop file.
    """
    delivered = landing / file.sha256
    if not delivered.is_file() or sha256_of(delivered) != file.sha256:
        delivered.unlink(missing_ok=True)
        raise SourceRefused(f"{file.path}: our copy of its bytes is damaged or gone. Deliver the file again.")
    shape = source.model_copy(update={"format": "parquet"}) if source.query is not None else source
    read_source(con, delivered, file.path, shape, landing)
    map_rows(con, CONTRACTS[file.table], source, file.path, landed.good, landed.bad, landed.card)
