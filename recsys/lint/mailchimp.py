"""Mailchimp: contacts CSV.

From Mailchimp's guidelines for import files: one address per contact, letters beyond ASCII only after the @, text
fields clipped at 255 bytes, GB and not UK; merge tags have at most 10 characters.
"""

import re
from collections.abc import Iterator

from recsys.lint.form import Form, Table
from recsys.lint.report import Finding
from recsys.lint.shapes import bad_ascii_email

MAX_TAG = 10


def merge_tags_fit(table: Table) -> Iterator[Finding]:
    """A header in capitals is a merge tag, and Mailchimp has none longer than ten characters."""
    long = [
        str(i + 1) for i, name in enumerate(table.cells.header)
        if re.fullmatch(r"[A-Z0-9_]+", name) and len(name) > MAX_TAG
    ]  # fmt: skip
    if long:
        yield Finding("limit_header", f"column {', '.join(long)}: a merge tag of more than {MAX_TAG} characters")


CONTACTS = Form(
    identifiers=(("Email Address",), ("EMAIL",)),
    names=("Email", "FNAME", "LNAME", "First Name", "Last Name"),
    shapes={"email": ("email_shape", bad_ascii_email), "timezone": None},
    max_cell_bytes=255,
    extras=(merge_tags_fit,),
)
FORMS: dict[str, dict[str, Form]] = {
    what: {".csv": CONTACTS} for what in ("audience", "check_in", "remove", "clear", "optout")
}
