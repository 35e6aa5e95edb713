"""Braze: attributes CSV, Cloud Data Ingestion (JSON lines, Parquet), catalogue CSV.

From Braze's documentation of CSV import, file storage integrations, payloads and catalogues.
"""

from collections.abc import Iterator
from dataclasses import replace

from recsys.lint.cells import Check, text
from recsys.lint.clearing import something_overwrites
from recsys.lint.form import MB, Form, Table
from recsys.lint.payloads import Payloads
from recsys.lint.report import Finding
from recsys.lint.shapes import bad_catalogue_id, bad_true_false, bad_two_letter_language

_ATTRIBUTES = (
    "first_name", "last_name", "email", "phone", "country", "dob", "gender", "home_city", "language", "time_zone",
    "email_subscribe", "push_subscribe", "date_of_first_session", "date_of_last_session", "subscription_group_id",
    "subscription_state", "email_open_tracking_disabled", "email_click_tracking_disabled",
)  # fmt: skip
_SHAPES = {"language": ("language_shape", bad_two_letter_language), "boolean": ("type_boolean", bad_true_false)}
_FAMILIES = (("external_id",), ("braze_id",), ("user_alias_name", "user_alias_label"), ("email",), ("phone",))


def one_identifier_family(table: Table) -> Iterator[Finding]:
    """Ids of two kinds in one file, or half an alias. Addresses beside an id are fields like any other."""
    ids = [name for name in ("external_id", "braze_id", "user_alias_name") if table.columns(name)]
    if len(ids) > 1:
        yield Finding("mixed_identifiers", " and ".join(ids))
    if bool(table.columns("user_alias_name")) != bool(table.columns("user_alias_label")):
        yield Finding("header_missing", "user_alias_name and user_alias_label belong together")


ATTRIBUTES = Form(
    identifiers=_FAMILIES,
    is_first_family_the_key=True,
    names=_ATTRIBUTES,
    shapes=_SHAPES,
    max_bytes=500 * MB,
    extras=(one_identifier_family,),
)


def ids_are_plain(table: Table) -> Iterator[Finding]:
    """Ids of a catalogue hold letters, digits, hyphens and underscores alone."""
    yield from table.cells.findings([Check("id_shape", bad_catalogue_id(text(i)), "id") for i in table.columns("id")])


CATALOGUE = Form(
    first=("id",),
    identifiers=(("id",),),
    others=r"[A-Za-z0-9_-]+",
    shapes=_SHAPES,
    max_bytes=2_000 * MB,
    max_columns=1_000,
    max_header=250,
    max_cell_characters=5_000,
    extras=(ids_are_plain,),
)
_FILES: dict[str, Form | Payloads] = {".csv": ATTRIBUTES, ".jsonl": Payloads(), ".parquet": Payloads()}
FORMS: dict[str, dict[str, Form | Payloads]] = {
    **dict.fromkeys(("audience", "check_in", "remove", "optout"), _FILES),
    "clear": {**_FILES, ".csv": replace(ATTRIBUTES, extras=(one_identifier_family, something_overwrites))},
    "catalogue": {".csv": CATALOGUE},
}
