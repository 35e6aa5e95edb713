"""The ledger: who was meant to get which products by which night's files, kept beside the published audiences.

`published/ledger/<book>/<channel>/<run_date>.parquet`, the books being `recipients`, `items` and `rows`, is written
before the files get their final names: what may have left is always on record. Later nights read it as `raw/ledger/`,
links to the files that they count with.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from recsys.channel_settings import Channel
from recsys.channels.base import scan_decisions
from recsys.channels.kinds import kind_of
from recsys.delivery import journal
from recsys.errors import StageInputMissing
from recsys.files import private_folder, sha256_of
from recsys.manifest import SUCCESS
from recsys.night import Night
from recsys.tables import write_parquet

CAMPAIGN = "recommendations"
CHECK_IN_CAMPAIGN = "check_in"


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

ROWS = Book(
    "rows",
    pl.Schema(
        {
            "run_date": pl.Date(),
            "channel": pl.String(),
            "customer_id": pl.String(),
            "email": pl.String(),
            "phone": pl.String(),
            "row_sha": pl.String(),
        }
    ),
    nights=30,
)
"""One row per recipient of a night of a kind that has deltas: what a tool knows of them once it has the night's files.

All of the night's recipients, also where its file says only what changed; addresses as they stand in the file.
"""

BOOKS = (RECIPIENTS, ITEMS, ROWS)
PAST_NIGHTS = pl.Schema(
    {"channel": pl.String(), "run_date": pl.Date(), "is_published": pl.Boolean(), "is_delivered": pl.Boolean()}
)


def path_of(night: Night, book: Book, channel: str) -> Path:
    """Where a channel's entries of a night are."""
    return night.ledger / book.name / channel / f"{night.run_date.isoformat()}.parquet"


def enter(night: Night, channel: Channel, rows: Path | None) -> None:
    """Write what the night means to export over a channel. A night that is published keeps the entries it has.

    `rows` is what was rendered with the channel's files of what its tool will know; None for kinds without deltas.
    Raises StageInputMissing without decisions.
    """
    ours = pl.col("channel") == channel.name
    recipients = scan_decisions(night.decisions, f"sync_{channel.tables}__recipients").filter(ours)
    items = scan_decisions(night.decisions, f"sync_{channel.tables}__items").filter(ours)
    if not kind_of(channel.kind).shows_products:
        items = items.clear()
    slots = (
        items.select(
            pl.lit(night.run_date, pl.Date).alias("run_date"),
            "channel",
            "customer_id",
            pl.col("rank").cast(pl.Int32),
            "product_id",
        )
        .sort("customer_id", "rank")
        .collect()
    )
    _write(night, RECIPIENTS, channel.name, _entries(night, channel, recipients, CAMPAIGN, channel.name))
    _write(night, ITEMS, channel.name, slots)
    if rows is not None:
        known = pl.read_parquet(rows)
        named = known.select(pl.lit(night.run_date).alias("run_date"), pl.lit(channel.name).alias("channel"), pl.all())
        _write(night, ROWS, channel.name, named.sort("customer_id"))


def enter_check_in(night: Night, channel: Channel, audience: str) -> None:
    """Write whom the night means to ask over a channel, by the name of the check-in's own audience; as `enter`."""
    recipients = scan_decisions(night.decisions, "sync_check_in__recipients").filter(pl.col("channel") == channel.name)
    _write(night, RECIPIENTS, audience, _entries(night, channel, recipients, CHECK_IN_CAMPAIGN, audience))


def _entries(night: Night, channel: Channel, recipients: pl.LazyFrame, campaign: str, audience: str) -> pl.DataFrame:
    address = channel.address_kind if channel.address_kind in {"email", "phone"} else None
    entries = recipients.select(
        run_date=pl.lit(night.run_date, pl.Date),
        campaign=pl.lit(campaign),
        channel=pl.lit(audience),
        contact_channel=pl.lit(channel.contact_channel.value),
        customer_id="customer_id",
        address=address or pl.lit(None, pl.String),
    )
    return entries.sort("customer_id").collect()


def _write(night: Night, book: Book, audience: str, frame: pl.DataFrame) -> None:
    path = path_of(night, book, audience)
    is_published = (night.audience(audience) / SUCCESS).is_file()
    if not (is_published and path.is_file()):
        write_parquet(frame.match_to_schema(book.schema), path, durable=True)


def known(night: Night) -> dict[str, Any]:
    """The files of earlier nights that this night counts with, for inputs.json.

    Per book a list of file, sha256, is_published (the night's files got their final names) and is_delivered (they are
    where the channel delivers to, as far as its journal says; the same as is_published where it delivers nowhere).
    """
    found = {}
    for book in BOOKS:
        folder = night.ledger / book.name
        days = {(night.run_date - timedelta(days=back)).isoformat() for back in range(1, book.nights + 1)}
        paths = sorted(path for path in folder.glob("*/*.parquet") if path.stem in days)
        found[book.name] = [
            {
                "file": path.relative_to(folder).as_posix(),
                "sha256": sha256_of(path),
                "is_published": _is_published(night, path.parent.name, path.stem),
                "is_delivered": is_delivered(night, path.parent.name, path.stem),
            }
            for path in paths
        ]
    return found


def _is_published(night: Night, audience: str, day: str) -> bool:
    return (night.published / "audiences" / audience / day / SUCCESS).is_file()


def is_delivered(night: Night, audience: str, day: str) -> bool:
    """Whether an audience's files of an earlier night count as delivered: by the journal where they are delivered."""
    if not _is_published(night, audience, day):
        return False
    delivering = {channel.name for channel in night.shop.channels if channel.deliver is not None}
    return audience not in delivering or journal.is_delivered(Night(night.shop, date.fromisoformat(day)), audience)


def link(night: Night, entries: dict[str, Any]) -> None:
    """Make `raw/ledger/<book>/` anew: a link to each file in `entries` and `none.parquet`, which has no rows.

    And `raw/past_nights.parquet`: channel, run_date, is_published and is_delivered of every entry about recipients,
    also of those without rows. Raises StageInputMissing when a file is gone or holds other bytes than it did.
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
    past = [
        (
            Path(entry["file"]).parent.name,
            date.fromisoformat(Path(entry["file"]).stem),
            entry["is_published"],
            entry.get("is_delivered", entry["is_published"]),
        )
        for entry in entries.get(RECIPIENTS.name, [])
    ]
    write_parquet(pl.DataFrame(past, schema=PAST_NIGHTS, orient="row"), night.raw / "past_nights.parquet")
