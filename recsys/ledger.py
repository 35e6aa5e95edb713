"""The ledger: who was meant to get which products by which night's files, kept beside the published audiences.

`published/ledger/<book>/<channel>/<run_date>.parquet`, the books being `recipients` and `items`, is written before the
files get their final names: what may have left is always on record. Later nights read it as `raw/ledger/`, links to the
files that they count with.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from recsys.channels.base import read_decisions
from recsys.config import Channel
from recsys.errors import StageInputMissing
from recsys.files import private_folder, sha256_of
from recsys.manifest import SUCCESS
from recsys.night import Night
from recsys.tables import write_parquet

CAMPAIGN = "recommendations"


@dataclass(frozen=True)
class Book:
    """One part of the ledger: its folder's name, its columns, and how many nights back it is read."""

    name: str
    schema: pl.Schema
    nights: int


RECIPIENTS = Book(
    "recipients",
    pl.Schema(
        {
            "run_date": pl.Date(),
            "campaign": pl.String(),
            "channel": pl.String(),
            "contact_channel": pl.String(),
            "customer_id": pl.String(),
            "address": pl.String(),
        }
    ),
    nights=90,
)
"""One row per recipient of a night's file; `address` as exported, null for files that name no address."""

ITEMS = Book(
    "items",
    pl.Schema(
        {
            "run_date": pl.Date(),
            "channel": pl.String(),
            "customer_id": pl.String(),
            "rank": pl.Int32(),
            "product_id": pl.String(),
        }
    ),
    nights=30,
)
"""One row per recipient and slot of a night's file."""

BOOKS = (RECIPIENTS, ITEMS)


def path_of(night: Night, book: Book, channel: str) -> Path:
    """Where a channel's entries of a night are."""
    return night.ledger / book.name / channel / f"{night.run_date.isoformat()}.parquet"


def enter(night: Night, channel: Channel) -> None:
    """Write what the night means to export over a channel. A night that is published keeps the entries it has.

    Raises StageInputMissing without decisions.
    """
    is_published = (night.audience(channel.name) / SUCCESS).is_file()
    ours = pl.col("channel") == channel.name
    recipients = read_decisions(night.decisions, f"sync_{channel.kind}__recipients").filter(ours)
    items = read_decisions(night.decisions, f"sync_{channel.kind}__items").filter(ours)
    entries = recipients.select(
        run_date=pl.lit(night.run_date, pl.Date),
        campaign=pl.lit(CAMPAIGN),
        channel="channel",
        contact_channel=pl.lit(channel.contact_channel.value),
        customer_id="customer_id",
        address="email" if "email" in recipients.columns else pl.lit(None, pl.String),
    ).sort("customer_id")
    slots = items.select(
        pl.lit(night.run_date, pl.Date).alias("run_date"),
        "channel",
        "customer_id",
        pl.col("rank").cast(pl.Int32),
        "product_id",
    ).sort("customer_id", "rank")
    for book, frame in ((RECIPIENTS, entries), (ITEMS, slots)):
        path = path_of(night, book, channel.name)
        if not (is_published and path.is_file()):
            write_parquet(frame.match_to_schema(book.schema), path, durable=True)


def known(night: Night) -> dict[str, Any]:
    """The files of earlier nights that this night counts with, for inputs.json: per book a list of file and sha256."""
    found = {}
    for book in BOOKS:
        folder = night.ledger / book.name
        days = {(night.run_date - timedelta(days=back)).isoformat() for back in range(1, book.nights + 1)}
        paths = sorted(path for path in folder.glob("*/*.parquet") if path.stem in days)
        found[book.name] = [{"file": path.relative_to(folder).as_posix(), "sha256": sha256_of(path)} for path in paths]
    return found


def link(night: Night, entries: dict[str, Any]) -> None:
    """Make `raw/ledger/<book>/` anew: a link to each file in `entries` and `none.parquet`, which has no rows.

    Raises StageInputMissing when a file is gone or holds other bytes than it did.
    """
    shutil.rmtree(night.raw / "ledger", ignore_errors=True)
    for book in BOOKS:
        folder = private_folder(night.raw / "ledger" / book.name)
        write_parquet(book.schema.to_frame(), folder / "none.parquet")
        for entry in entries.get(book.name, []):
            path = night.ledger / book.name / entry["file"]
            if not path.is_file() or sha256_of(path) != entry["sha256"]:
                raise StageInputMissing(
                    f"{path}: gone or changed since the night of {night.run_date} counted with it. "
                    "Bring it back from a backup: caps and removals depend on it."
                )
            os.link(path, folder / entry["file"].replace("/", "."))
