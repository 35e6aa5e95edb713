"""Salesforce Marketing Cloud: a data extension's import, comma-delimited .csv or tab-delimited .txt.

From Salesforce's help on import files and import activities. A data extension's fields are the account's own, so any
header may stand. Preferences are Yes or No (newer pages: Y/N, True/False and 1/0 as well).
"""

from dataclasses import replace

from recsys.lint.clearing import recommendations_are_empty
from recsys.lint.form import Form
from recsys.lint.shapes import bad_spaced_date

_KEYS = ("SubscriberKey", "ContactKey", "customer_id", "EmailAddress", "Email", "MobileNumber", "MobilePhone", "Phone")

DATA_EXTENSION = Form(
    identifiers=tuple((name,) for name in _KEYS),
    is_first_family_the_key=True,
    is_spelling_free=True,
    names=("Subscriber Status",),
    shapes={"country": None, "timezone": None, "date": ("type_date", bad_spaced_date)},
)
_CLEAR = replace(DATA_EXTENSION, extras=(recommendations_are_empty,))


def _both(form: Form) -> dict[str, Form]:
    return {".csv": form, ".txt": replace(form, separator="\t")}


FORMS: dict[str, dict[str, Form]] = {
    **dict.fromkeys(("audience", "check_in", "remove", "optout"), _both(DATA_EXTENSION)),
    "clear": _both(_CLEAR),
}
