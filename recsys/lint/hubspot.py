"""HubSpot: contacts CSV, and the opt-out list, which is an import of its own.

From HubSpot's knowledge base: fewer than 1,000 columns, 512 MB, 1,048,576 rows a file (a sheet's size, the header among
them), contacts known by Email or Record ID, an opt-out list by Email; an empty cell leaves a property as it is.
"""

from dataclasses import replace

from recsys.lint.clearing import something_overwrites
from recsys.lint.form import MB, Form
from recsys.lint.shapes import bad_spaced_date

CONTACTS = Form(
    identifiers=(("Email",), ("Record ID",)),
    names=("First Name", "Last Name", "Phone Number"),
    shapes={"country": None, "timezone": None, "date": ("type_date", bad_spaced_date)},
    max_bytes=512 * MB,
    max_rows=1_048_575,
    max_columns=999,
)
OPT_OUT = replace(CONTACTS, identifiers=(("Email",),), needs=("Email",))
FORMS: dict[str, dict[str, Form]] = {
    **{what: {".csv": CONTACTS} for what in ("audience", "check_in", "remove")},
    "clear": {".csv": replace(CONTACTS, extras=(something_overwrites,))},
    "optout": {".csv": OPT_OUT},
}
