"""email_file and crm_file, for tools without a kind of their own: as the README says what the files look like."""

from recsys.lint.clearing import recommendations_are_empty
from recsys.lint.form import Form

_SLOT = r"rec_[1-9][0-9]?_(id|name|reason|url|image_url|price|currency)"
_TOPIC = r"(topic|why|reason)_[1-9]"
_PERSON = (
    "email", "phone", "first_name", "last_name", "language", "country", "timezone", "choices_applied",
    "send_not_before", "send_not_after",
)  # fmt: skip
_ENDINGS = (".csv", ".jsonl", ".parquet")

CATALOGUE = Form(
    needs=("product_id", "name"),
    identifiers=(("product_id",),),
    names=("category", "brand", "price", "currency", "url", "image_url"),
    others=None,
)


def forms_of(kind: str) -> dict[str, dict[str, Form]]:
    """The forms of email_file or crm_file: by purpose, by the ending of the file's name."""
    address = ("email",) if kind == "email_file" else ()
    keys = (("customer_id",),)
    audience = Form(needs=("run_date", *address, "rec_1_id"), identifiers=keys, names=(*_PERSON,), others=_SLOT)
    remove = Form(needs=("left_since", "reason", *address), identifiers=keys, names=("email", "phone"), others=None)
    check_in = Form(needs=("run_date", *address, "topic_1", "reason_1"), identifiers=keys, names=_PERSON, others=_TOPIC)
    clear = Form(
        needs=audience.needs, identifiers=keys, names=_PERSON, others=_SLOT, extras=(recommendations_are_empty,)
    )
    forms = {"audience": audience, "remove": remove, "clear": clear, "check_in": check_in, "catalogue": CATALOGUE}
    return {what: dict.fromkeys(_ENDINGS, form) for what, form in forms.items()}
