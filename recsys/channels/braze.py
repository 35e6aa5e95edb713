"""Braze: attributes as CSV, or files for Cloud Data Ingestion (jsonl, parquet), and a catalogue of the items.

Limits: a CSV of attributes has at most 500 MB, one family of identifiers, headers in small letters and no arrays.
Blank does not overwrite in it, so it cannot clear: `rec_items` says how many slots count, and the clear file sets it to
0. In Cloud Data Ingestion one row is an identifier and PAYLOAD, a JSON text in the shape of /users/track, in which null
clears an attribute; the clear file is made of nulls there. A catalogue takes 100 MB for nothing; ids and headers are of
letters, digits, - and _, a cell has at most 5,000 characters, and the word NULL would be a text.

Audiences carry ids and reasons; `<name>_catalogue_<YYYYMMDD>.csv` has what else is to be said of each item, once.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from recsys.channels.base import read_decisions
from recsys.channels.parts import Limits
from recsys.channels.recipients import Recipients
from recsys.channels.tool_catalogue import ToolCatalogue
from recsys.channels.tool_file import ToolFile
from recsys.vocabulary import ContactChannel

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings

MAX_FILE_BYTES = 500_000_000
CATALOGUE = ToolCatalogue(
    columns={"id": "product_id"}
    | {name: name for name in ("name", "category", "brand", "price")}
    | {name: name for name in ("currency", "url", "image_url")},
    ids=r"^[A-Za-z0-9_-]{1,250}$",
    max_characters=5_000,
    limits=Limits(bytes=100_000_000),
)


class Braze(ToolFile):
    """One row per recipient, found by external id (our customer_id), e-mail address or phone number."""

    kind = "braze"
    formats = ("csv", "jsonl", "parquet")
    contact_channels = (ContactChannel.EMAIL, ContactChannel.SMS, ContactChannel.PUSH)
    identifiers = ("customer_id", "email", "phone")
    own_fields = ("choices_applied",)
    slot_parts = ("id", "reason")
    headings: ClassVar[dict[str, str]] = {"customer_id": "external_id", "timezone": "time_zone"}
    packing: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(("jsonl", "parquet"), ("identifier", "PAYLOAD"))
    limits = Limits(bytes=MAX_FILE_BYTES)
    leaving = (
        "The file _remove_ first: take those people out of your segment. It deletes nobody.",
        "Then the file _clear_, like the audience's own: rec_items is 0; in jsonl and parquet the slots are null, too.",
        "Then the audience's own file.",
    )
    steps = (
        "csv: Audience > Import users; external_id finds people, all other columns become custom attributes.",
        "jsonl, parquet: put the file into the bucket of your Cloud Data Ingestion sync; null clears an attribute.",
        "The file _catalogue_ goes to Data settings > Catalogs first; rec_1_id and so on are ids in it.",
        "A blank cell of a CSV overwrites nothing: show slots 1 to rec_items only.",
    )

    @classmethod
    def check(cls, settings: "ChannelSettings") -> None:
        super().check(settings)
        if settings.identifier != "customer_id" and {"email", "phone"} - {settings.identifier} & set(settings.fields):
            raise ValueError("fields: a file of Braze has one identifier; leave the other address out")

    def headed(self, names: tuple[str, ...], form: str) -> tuple[str, ...]:
        if form not in self.packing:
            return super().headed(names, form)
        return (self._identifier, "PAYLOAD")

    def adapted(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Languages are ISO 639-1: de for de-AT, and nothing where there are no two letters for it."""
        if "language" not in cells.columns:
            return cells
        return cells.with_columns(pl.col("language").str.extract(r"^([A-Za-z]{2})(?:-|$)").str.to_lowercase())

    def packed(self, cells: pl.DataFrame, form: str) -> pl.DataFrame:  # noqa: ARG002
        attributes = [
            (pl.col(name).cast(pl.Int64) if name == "items" else pl.col(name)).alias(self.heading(name))
            for name in cells.columns
            if name != self.identifier
        ]
        return cells.select(
            pl.col(self.identifier).alias(self._identifier), pl.struct(attributes).struct.json_encode().alias("PAYLOAD")
        )

    def unpacked(self, rows: pl.DataFrame) -> pl.DataFrame:
        said = [name for name in self.said if name != self.identifier]
        if rows.is_empty():
            return pl.DataFrame(schema=dict.fromkeys((self.identifier, *said), pl.String))
        texts = (pl.col("PAYLOAD").str.json_path_match(f"$.{self.heading(name)}").alias(name) for name in said)
        return rows.select(pl.col(self._identifier).alias(self.identifier), *texts)

    def files(self, run_date: date) -> tuple[str, ...]:
        return (*super().files(run_date), f"{self.stem('catalogue', run_date)}.csv")

    def render_beside(self, decisions: Path, folder: Path, run_date: date, people: Recipients) -> None:
        super().render_beside(decisions, folder, run_date, people)
        named = people.items.select("product_id").unique().collect()
        products = read_decisions(decisions, "sync_catalogue__products").join(named, on="product_id", how="semi")
        CATALOGUE.write(products, folder, self.stem("catalogue", run_date))

    @property
    def _identifier(self) -> str:
        return self.heading(self.identifier).upper()
