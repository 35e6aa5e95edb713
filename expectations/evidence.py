"""Everything the gate looks at, read once: each file's hash is taken from the very bytes that are checked."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from expectations import json_lines
from expectations.columns import FILE_SLOT, PLAIN, TABLES, columns_of, plain_channels, slot_column, tool_channels
from expectations.crashes import explained
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.files import sha256_of
from recsys.night import Night

CATALOGUE = "catalogue"


@dataclass(frozen=True)
class FinishedFile:
    """A finished file with columns of our own: all cells as text, an empty cell as null.

    `is_canonical`: its bytes are the only ones that these cells have in UTF-8 without BOM, in CSV with every field
    quoted, quotes doubled and the header always, in JSON lines with the same names in every object, and `\\n` after
    every row.
    """

    cells: pl.DataFrame
    is_canonical: bool
    form: str = "csv"


@dataclass(frozen=True)
class Evidence:
    """What one night made. `hashes` by path relative to the night's folder.

    `files` by channel, by `<channel>_remove`, `<channel>_clear` and `check_in_<channel>`, and the catalogue.
    """

    night: Night
    recommendations: pl.DataFrame
    tables: Mapping[str, pl.DataFrame]
    files: Mapping[str, FinishedFile]
    hashes: Mapping[str, str]

    def audience(self, channel: Channel) -> pl.DataFrame:
        """The cells of a channel's finished file; one row per recipient.

        Of a tool's channel the recipients that were decided, whom `expectations.tools` finds in its finished files
        again: customer_id, the addresses that it carries, and the send window as a file would say it.
        """
        if channel.kind in PLAIN:
            return self.files[channel.name].cells
        decided = self.tables["sync_tool__recipients"].filter(pl.col("channel") == channel.name)
        window = (pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("send_not_before", "send_not_after"))
        addresses = [name for name in ("email", "phone") if name in channel.carries]
        return decided.select("customer_id", *addresses, *window)

    def slots(self, channel: Channel) -> pl.DataFrame:
        """The finished file's slots below each other: channel, customer_id, rank and the parts of a slot.

        One row per recipient and slot that has anything in it; none for an empty audience.
        """
        if channel.kind not in PLAIN:
            decided = self.tables["sync_tool__items"].filter(pl.col("channel") == channel.name)
            return decided.with_columns(pl.col("rank").cast(pl.Int64))
        cells, parts = self.audience(channel), FILE_SLOT[channel.kind]
        pieces = [
            cells.select(
                pl.lit(channel.name).alias("channel"),
                "customer_id",
                pl.lit(slot, dtype=pl.Int64).alias("rank"),
                *(pl.col(slot_column(slot, part)).alias(part) for part in parts),
            ).filter(pl.any_horizontal(pl.col(parts).is_not_null()))
            for slot in range(1, channel.slots + 1)
        ]
        return pl.concat(pieces).rename({"id": "product_id", "name": "product_name"})

    def exported(self, channel: Channel) -> pl.DataFrame:
        """The decisions of status exported of one channel: customer_id."""
        return (
            self.tables["fct_decisions"]
            .filter(pl.col("channel") == channel.name, pl.col("status") == "exported")
            .select("customer_id")
        )


def file_of(night: Night, name: str, form: str = "csv") -> Path:
    """Where the finished file of a channel, or of the catalogue, must lie."""
    return night.files / name / f"{name}_{night.run_date:%Y%m%d}.{form}"


def files_of(night: Night) -> dict[str, Path]:
    """Every finished file with columns of our own that the night must have, by name without its date."""
    found = {CATALOGUE: file_of(night, CATALOGUE)}
    for channel in plain_channels(night.shop):
        found[channel.name] = file_of(night, channel.name, channel.format)
        if channel.asks:
            name = f"check_in_{channel.name}"
            found[name] = file_of(night, name, channel.format)
        for beside in ("remove", "clear"):
            name = f"{channel.name}_{beside}"
            found[name] = night.files / channel.name / f"{name}_{night.run_date:%Y%m%d}.{channel.format}"
    return found


def tool_files(night: Night) -> list[Path]:
    """Every finished file of the tools' channels and of their check-ins that is there."""
    names = [name for channel in tool_channels(night.shop) for name in (channel.name, f"check_in_{channel.name}")]
    paths = [path for name in names for path in sorted((night.files / name).glob("*"))]
    return [path for path in paths if not path.name.startswith(".")]


class _Digest(io.RawIOBase):
    """A stream that keeps nothing of what is written to it but its SHA-256."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, part: Any, /) -> int:
        self.sha256.update(part)
        return len(part)


def read_finished(content: bytes, form: str = "csv") -> FinishedFile:
    """A file of this form as text columns. Raises polars errors for what is none."""
    written = _Digest()
    if form == "jsonl":
        cells = json_lines.read(content).cast(pl.String)
        cells.write_ndjson(cast(IO[bytes], written))
    elif form == "parquet":
        return FinishedFile(pl.read_parquet(io.BytesIO(content)).cast(pl.String), is_canonical=True, form=form)
    else:
        cells = pl.read_csv(io.BytesIO(content), infer_schema=False)
        cells.write_csv(cast(IO[bytes], written), quote_style="always")
    texts = pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep()
    is_canonical = written.sha256.digest() == hashlib.sha256(content).digest()
    return FinishedFile(cells.with_columns(texts), is_canonical, form)


def _finished(night: Night, name: str, content: bytes) -> FinishedFile:
    """A finished file; of one without rows and without a header, the columns that it would have."""
    form = files_of(night)[name].suffix[1:]
    if content or form != "jsonl":
        return read_finished(content, form)
    columns = dict.fromkeys(columns_of(night.shop, name), pl.String)
    return FinishedFile(pl.DataFrame(schema=columns), is_canonical=True, form=form)


def gather(night: Night) -> tuple[Evidence | None, list[Check]]:
    """The evidence, and one check per file that it could be read. Evidence is None when anything is missing or torn."""
    checks: list[Check] = []
    hashes: dict[str, str] = {}

    def taken(path: Path) -> bytes:
        content = path.read_bytes()
        hashes[path.relative_to(night.folder).as_posix()] = hashlib.sha256(content).hexdigest()
        return content

    recommendations: pl.DataFrame | None = None
    tables: dict[str, pl.DataFrame] = {}
    files: dict[str, FinishedFile] = {}
    wanted = {name: night.decisions / f"{name}.parquet" for name in TABLES}
    finished = {path: name for name, path in files_of(night).items()}
    for path in (night.recommendations, *wanted.values(), *finished):
        try:
            if path == night.recommendations:
                recommendations = pl.read_parquet(io.BytesIO(taken(path)))
            elif path not in finished:
                tables[path.stem] = pl.read_parquet(io.BytesIO(taken(path)))
            else:
                files[finished[path]] = _finished(night, finished[path], taken(path))
            problem = ""
        except FileNotFoundError:
            problem = "is missing; run the stages before the gate"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the gate is red and says so
            problem = explained(error)
        name = path.relative_to(night.folder).as_posix()
        checks.append(Check(suite="evidence", check=name, severity="critical", passed=not problem, detail=problem))
    kept = [path for path in (night.rows(channel.name) for channel in tool_channels(night.shop)) if path.is_file()]
    for path in (*tool_files(night), *kept):
        hashes[path.relative_to(night.folder).as_posix()] = sha256_of(path)
    if recommendations is None or any(not check.passed for check in checks):
        return None, checks
    return Evidence(night, recommendations, tables, files, hashes), checks
