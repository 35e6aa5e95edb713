"""Meta Custom Audiences: hashed CSV, and the names that its audiences may have.

From Meta's help on customer lists (headers in small letters, up to three of email and phone) and its API reference
(hashed: all but madid, uid and value; since September 2025 audiences whose names suggest health or money are blocked).
"""

import re
from collections.abc import Iterator

from recsys.lint.form import Form, Table
from recsys.lint.hashes import hashed_cells, people_once
from recsys.lint.report import Finding
from recsys.lint.shapes import unlike

_HASHED = ("email", "phone", "fn", "ln", "ct", "st", "country", "zip", "dob", "doby", "gen")
_PLAIN = ("madid", "uid", "value")
_HEALTH = (
    "health", "medical", "medicine", "medication", "patient", "disease", "illness", "disorder", "syndrome", "diagnos",
    "diabet", "arthrit", "cancer", "asthma", "allerg", "depress", "anxiety", "adhd", "autis", "hiv", "aids", "obes",
    "overweight", "weight loss", "pregnan", "fertil", "menopaus", "insomnia", "addict", "alcoholi", "disab", "dementia",
    "alzheimer", "epilep", "migraine", "hypertension", "cholesterol", "chronic", "therapy", "rehab", "incontinen",
    "gesundheit", "krank", "schwanger", "allergi", "therapie", "behinder", "übergewicht", "abnehmen", "santé", "malad",
    "enceinte", "salud", "enferm", "embaraz",
)  # fmt: skip
_MONEY = (
    "credit", "debt", "loan", "mortgage", "bankrupt", "income", "wealth", "net worth", "insolven", "payday", "salary",
    "unemploy", "low earner", "high earner", "poor", "broke", "foreclos", "overdraft", "financial status", "affluent",
    "schuld", "kredit", "einkommen", "insolvenz", "arbeitslos", "vermögen", "pleite", "dette", "crédit", "revenu",
    "deuda", "crédito", "ingresos",
)  # fmt: skip
_ROOTS = {**dict.fromkeys(_HEALTH, "health"), **dict.fromkeys(_MONEY, "financial status")}
_WHOLE_WORDS = {"hiv", "aids", "poor", "broke", "loan", "income", "credit", "wealth", "rehab", "therapy"}


def audience_name_findings(name: str) -> tuple[Finding, ...]:
    """A finding when the name of an audience suggests its people's health or money; Meta would block the audience.

    Words are looked for at the beginning of words, in English, German, French and Spanish. Names of products are told
    by nobody's list: a name that passes here can still be blocked.
    """
    parted = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    words = " " + " ".join(re.findall(r"[^\W\d_]+", parted.lower())) + " "
    for root, about in _ROOTS.items():
        if f" {root}{' ' if root in _WHOLE_WORDS else ''}" in words or f" {root}s " in words:
            return (Finding("audience_name", f"suggests {about}"),)
    return ()


def hashed(table: Table) -> Iterator[Finding]:
    """All but device, application user and value hashed, nobody twice."""
    yield from hashed_cells(table, _HASHED)
    yield from people_once(table, "email", "phone", "madid", "uid")


CUSTOMERS = Form(
    identifiers=(("email",), ("phone",), ("madid",), ("uid",), ("fn", "ln")),
    names=(*_HASHED, *_PLAIN, "age"),
    others=None,
    repeatable={"email": 3, "phone": 3},
    shapes={
        **dict.fromkeys(("email", "phone", "country", "date"), None),
        "value": ("type_number", unlike(r"^[0-9]+(\.[0-9]+)?$")),
        "age": ("type_number", unlike(r"^[0-9]{1,3}$")),
        "madid": ("identifier_shape", unlike(r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")),
        "uid": ("identifier_shape", unlike(r"^[0-9]+$")),
    },
    texts_are_safe=True,
    unique=False,
    extras=(hashed,),
)
FORMS: dict[str, dict[str, Form]] = {what: {".csv": CUSTOMERS} for what in ("audience", "remove")}
