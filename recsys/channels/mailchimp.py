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
    leaving = (
        "Archive the people of the file _remove_ first, or import the file _clear_, which sets their REC_ITEMS to 0.",
        "Then the audience's own file.",
    )
    steps = (
        "Audience > Import contacts > Upload a file: match FNAME, R1_NAME and so on to merge tags of the same names.",
        "Tick “Update any existing contacts”, and leave the status as it is: the file subscribes nobody.",
        "Show slots 1 to REC_ITEMS only.",
    )
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
        return cells.with_columns(
            whole(cells[name]) if name.endswith(LINKS) else clipped(cells[name]) for name in texts
        )


def clipped(texts: pl.Series) -> pl.Series:
    """Texts cut to what Mailchimp takes, at the border of a character."""
    long = texts.filter(texts.str.len_bytes() > MAX_BYTES).unique().alias("text")
    if long.is_empty():
        return texts
    letters = long.to_frame().with_columns(letter=pl.col("text").str.split("")).explode("letter")
    fitting = letters.filter(pl.col("letter").str.len_bytes().cum_sum().over("text") <= MAX_BYTES)
    cut = fitting.group_by("text", maintain_order=True).agg(pl.col("letter").str.join())
    return texts.replace(cut["text"], cut["letter"])


def whole(texts: pl.Series) -> pl.Series:
    """Texts that are of no use when they are cut: themselves, or nothing where they are too long."""
    name = texts.name
    return texts.to_frame().select(pl.when(pl.col(name).str.len_bytes() <= MAX_BYTES).then(pl.col(name))).to_series()
