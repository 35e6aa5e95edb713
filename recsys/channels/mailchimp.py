"""Mailchimp: contacts as CSV, one address per row.

Limits: names of merge tags have at most 10 characters; a text has at most 255 bytes, and Mailchimp would clip it
silently, so it is cut here, never inside a character; a link that is longer is left out, as half of it leads nowhere.
Letters outside ASCII are allowed behind the @ of an address only. No size of a file is documented. A nightly file
carries no status: the import updates contacts, and never their subscription. Archive the people of the remove file.
"""

from typing import ClassVar

import polars as pl

from recsys.channels.tool_file import ToolFile
from recsys.errors import CannotRender

MAX_BYTES = 255
PART = {
    "id": "ID",
    "name": "NAME",
    "reason": "WHY",
    "url": "URL",
    "image_url": "IMAGE",
    "price": "PRICE",
    "currency": "CUR",
}
LINKS = ("_url", "_id", "_price", "_currency")


class Mailchimp(ToolFile):
    """One row per recipient, found by e-mail address."""

    kind = "mailchimp"
    identifiers = ("email",)
    headings: ClassVar[dict[str, str]] = {
        "email": "Email Address",
        "phone": "PHONE",
        "first_name": "FNAME",
        "last_name": "LNAME",
        "language": "LANGUAGE",
        "country": "COUNTRY",
        "timezone": "TIMEZONE",
        "choices_applied": "CHOICES",
        "send_not_before": "NOTBEFORE",
        "send_not_after": "NOTAFTER",
        "run_date": "RUN_DATE",
        "items": "REC_ITEMS",
    }

    def heading(self, name: str) -> str:
        if name in self.headings:
            return self.headings[name]
        what, _, rest = name.partition("_")
        if what == "rec":
            slot, _, part = rest.partition("_")
            return f"R{slot}_{PART[part]}"
        return name.upper()

    def adapted(self, cells: pl.DataFrame) -> pl.DataFrame:
        foreign = cells.select((~pl.col("email").str.contains(r"^[\x21-\x7e]+@")).sum()).item()
        if foreign:
            raise CannotRender(f"{self.name}: {foreign} addresses have letters outside ASCII before the @.")
        texts = [name for name in cells.columns if name != "email"]
        return cells.with_columns(whole(name) if name.endswith(LINKS) else clipped(name) for name in texts)


def clipped(name: str) -> pl.Expr:
    """A text cut to what Mailchimp takes, at the border of a character."""
    text = pl.col(name)
    bytes_ = text.cast(pl.Binary)
    cuts = [bytes_.bin.slice(0, MAX_BYTES - less).cast(pl.String, strict=False) for less in range(4)]
    return pl.when(text.str.len_bytes() > MAX_BYTES).then(pl.coalesce(cuts)).otherwise(text).alias(name)


def whole(name: str) -> pl.Expr:
    """A text that is of no use when it is cut: itself, or nothing where it is too long."""
    return pl.when(pl.col(name).str.len_bytes() <= MAX_BYTES).then(pl.col(name)).alias(name)
