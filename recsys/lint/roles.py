"""What a column is for, from its header: a price is a number in every tool, a name is free text."""

import re

_ROLES = (
    ("email", r"e?mail(address)?"),
    ("phone", r"(phone|mobile|sms|whatsapp)(number|phone|phonenumber)?"),
    ("key", r"(.*[^a-z])?(id|key)|(item|product|customer|external|contact|subscriber|record|braze|alias)(id|key)"),
    ("number", r"(.*[^a-z])?price"),
    ("date", r"dob|(.*[^a-z])?(date|at|since|not_before|not_after)|rundate|leftsince|sendnot(before|after)"),
    ("boolean", r"(is|has|may)_.*"),
    ("country", r"country(code)?"),
    ("language", r"language|locale"),
    ("timezone", r"timezone"),
    ("currency", r"(.*[^a-z])?currency"),
)


def canonical(header: str) -> str:
    """A header without case, spaces and signs: two spellings of one name give the same."""
    return re.sub(r"[^a-z0-9]", "", header.lower())


def role_of(header: str) -> str:
    """What a column is for: email, phone, key, number, date, boolean, country, language, timezone, currency or text."""
    joined = canonical(header)
    parted = re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")
    return next((role for role, form in _ROLES if re.fullmatch(form, joined) or re.fullmatch(form, parted)), "text")
