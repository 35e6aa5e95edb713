"""Klaviyo: a list import (csv), or the requests of the bulk import API (json).

Limits: a list import takes 50 MB per file and wants `Email Address` or `Phone Number` first; headers that equal a
Klaviyo property map by themselves, all others become custom properties. The API: see `recsys.channels.requests`.

Consent is chosen in the import dialog for the whole file, so nobody without it is ever in one, and no column speaks of
it. Neither import lets an empty value overwrite: the API's requests say "" for an empty text, which does; in a CSV
`rec_items` says how many slots count. Take the people of the remove file off the list.
"""

from typing import ClassVar

import polars as pl

from recsys.channels.parts import Limits
from recsys.channels.tool_file import ToolFile
from recsys.vocabulary import ContactChannel

MAX_FILE_BYTES = 50_000_000
ATTRIBUTES = {
    "email": "email",
    "phone": "phone_number",
    "first_name": "first_name",
    "last_name": "last_name",
    "language": "locale",
}
LOCATION = {"country": "country", "timezone": "timezone"}


class Klaviyo(ToolFile):
    """One row, or one profile, per recipient, found by e-mail address or phone number."""

    kind = "klaviyo"
    formats = ("csv", "json")
    contact_channels = (ContactChannel.EMAIL, ContactChannel.SMS)
    headings: ClassVar[dict[str, str]] = {
        "email": "Email Address",
        "phone": "Phone Number",
        "first_name": "First Name",
        "last_name": "Last Name",
        "country": "Country",
    }
    packing: ClassVar[dict[str, tuple[str, ...]]] = {"json": ("email", "phone_number", "profile")}
    limits = Limits(bytes=MAX_FILE_BYTES)
    leaving = (
        "Take the people of the file _remove_ off the list first.",
        "Then the file _clear_, like the audience's own: it sets rec_items to 0. Of a csv an empty cell overwrites "
        "nothing; the json says an empty text, which does.",
        "Then the audience's own file.",
    )
    steps = (
        "csv: Audience > Lists & segments > your list > Import contacts; Email Address or Phone Number maps itself.",
        "Leave consent unticked in the dialog: it is for the whole file, and the list has its own.",
        "json: each line is one request for POST /api/profile-bulk-import-jobs; it creates or updates profiles.",
        "Show slots 1 to rec_items only.",
    )

    @classmethod
    def found_by(cls) -> dict[str, str]:
        return super().found_by() | {"email": "email", "phone_number": "phone"}

    def packed(self, cells: pl.DataFrame, form: str) -> pl.DataFrame:  # noqa: ARG002
        ours = cells.columns
        own = [name for name in ours if name not in {*ATTRIBUTES, *LOCATION, "items"}]
        attributes = [pl.col(name).alias(ATTRIBUTES[name]) for name in ATTRIBUTES if name in ours]
        location = [pl.col(name).alias(LOCATION[name]) for name in LOCATION if name in ours]
        if location:
            attributes.append(pl.struct(location).alias("location"))
        count = [pl.col("items").cast(pl.Int64).alias(self.heading("items"))] if "items" in ours else []
        properties = [*count, *(pl.col(name).fill_null("").alias(self.heading(name)) for name in own)]
        if properties:
            attributes.append(pl.struct(properties).alias("properties"))
        profile = pl.struct(pl.lit("profile").alias("type"), pl.struct(attributes).alias("attributes"))
        nobody = pl.lit(None, pl.String)
        return cells.select(
            (pl.col("email") if "email" in ours else nobody).alias("email"),
            (pl.col("phone") if "phone" in ours else nobody).alias("phone_number"),
            profile.struct.json_encode().alias("profile"),
        )

    def unpacked(self, rows: pl.DataFrame) -> pl.DataFrame:
        slots = [name for name in self.said if name.startswith("rec_")]
        said = pl.col("profile").str.json_path_match
        return rows.select(
            "email",
            pl.col("phone_number").alias("phone"),
            said(f"$.attributes.properties.{self.heading('items')}").alias("items"),
            *(said(f"$.attributes.properties.{self.heading(name)}").replace("", None).alias(name) for name in slots),
        )
