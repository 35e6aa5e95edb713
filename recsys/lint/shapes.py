"""The forms that cells must have, as SQL predicates that hold for a wrong cell. Empty cells are never wrong here."""

from collections.abc import Callable

from recsys.database import literal

_BLANK = (
    r"\s\p{Z}\p{C}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}"
)
FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a\u207c\u208a\u208c\ufb29\u2a75\u2a76"
"""Every sign whose compatibility form (NFKC) begins with = + - or @."""
_DANGEROUS = rf"^([\t\r\n]|[{_BLANK}]*[=+\-@{FORMULA_STARTS[4:]}])"
_PHONE = r"^\+[1-9][0-9]{6,14}$"
_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_LOCAL = r"[^@\s\p{Z}\p{C}\"(),:;<>\[\]\\.]+"
_LABEL = r"[^@\s\p{Z}\p{C}\"(),:;<>\[\]\\./_]+"
_EMAIL = rf"^{_LOCAL}(\.{_LOCAL})*@({_LABEL}\.)+[\pL0-9-]{{2,}}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
NOTHING_WORDS = ("NULL", "null", "None", "NaN", "nan", "NaT", "<NA>", "\\N", "undefined")
"""What programs write where nothing stands."""

Shape = Callable[[str], str]


def unlike(pattern: str) -> Shape:
    """Holds for a filled cell that does not match a pattern."""
    return lambda cell: f"{cell} <> '' AND NOT regexp_matches({cell}, {literal(pattern)})"


def is_filled(cell: str) -> str:
    """Holds for a cell with something in it."""
    return f"{cell} <> ''"


def bad_email(cell: str) -> str:
    """Not one address of at most 254 characters, or with spaces or invisible signs."""
    return f"{cell} <> '' AND (length({cell}) > 254 OR NOT regexp_matches({cell}, {literal(_EMAIL)}))"


def bad_ascii_email(cell: str) -> str:
    """As `bad_email`, or with a sign beyond ASCII before the @."""
    return f"({bad_email(cell)}) OR regexp_matches({cell}, '^[^@]*[^\\x00-\\x7F][^@]*@')"


def bad_date(cell: str) -> str:
    """Neither an ISO 8601 date nor a date and time with T between, or not on the calendar."""
    return _bad_moment(cell, "T")


def bad_spaced_date(cell: str) -> str:
    """As `bad_date`, with a space allowed for the T."""
    return _bad_moment(cell, "[T ]")


def _bad_moment(cell: str, between: str) -> str:
    form = literal(f"{_DATE}({between}{_TIME})?$")
    clock = f"length({cell}) > 10 AND TRY_CAST(substr({cell}, 12, 5) || ':00' AS TIME) IS NULL"
    return (
        f"{cell} <> '' AND (NOT regexp_matches({cell}, {form}) "
        f"OR TRY_CAST(substr({cell}, 1, 10) AS DATE) IS NULL OR ({clock}))"
    )


def dangerous(cell: str) -> str:
    """A spreadsheet would read it as a formula. A plain number is none, and so is an international phone number."""
    return f"regexp_matches({cell}, {literal(_DANGEROUS)}) AND NOT regexp_matches({cell}, {literal(_NUMBER)})"


def array(cell: str) -> str:
    """A list or an object where one value should stand."""
    return (
        f"(starts_with(ltrim({cell}), '[') OR starts_with(ltrim({cell}), '{{')) AND (json_valid({cell}) "
        f"OR regexp_matches({cell}, {literal(_LITERAL_LIST)}))"
    )


_LITERAL_LIST = r"""^\s*(\[\s*'.*'\s*\]|\{\s*'.*\})\s*$"""


def word_for_nothing(cell: str) -> str:
    """A program's word for nothing instead of an empty cell."""
    return f"{cell} IN ({', '.join(map(literal, NOTHING_WORDS))})"


def longer_than(octets: int) -> Shape:
    """More bytes than a tool keeps."""
    return lambda cell: f"strlen({cell}) > {octets}"


def more_characters_than(characters: int) -> Shape:
    """More characters than a tool keeps."""
    return lambda cell: f"length({cell}) > {characters}"


bad_phone = unlike(_PHONE)
bad_number = unlike(r"^-?[0-9]+(\.[0-9]+)?$")
bad_currency = unlike(r"^[A-Z]{3}$")
bad_language = unlike(r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$")
bad_two_letter_language = unlike(r"^[a-z]{2}$")
bad_true_false = unlike(r"^(true|false)$")
bad_boolean = unlike(r"^(true|false|True|False|TRUE|FALSE|Yes|No|yes|no|Y|N|1|0)$")
bad_timezone = unlike(r"^(UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+){1,2})$")
bad_catalogue_id = unlike(r"^[A-Za-z0-9_-]+$")


def bad_country(cell: str) -> str:
    """Not two capital letters, or UK, whose code is GB."""
    return f"{cell} <> '' AND ({cell} = 'UK' OR NOT regexp_matches({cell}, '^[A-Z]{{2}}$'))"


def bad_country_of_ads(cell: str) -> str:
    """Not two letters in either case, or UK, whose code is GB."""
    return f"{cell} <> '' AND (upper({cell}) = 'UK' OR NOT regexp_matches({cell}, '^[A-Za-z]{{2}}$'))"


ROLE_RULES: dict[str, tuple[str, Shape]] = {
    "email": ("email_shape", bad_email),
    "phone": ("phone_shape", bad_phone),
    "date": ("type_date", bad_date),
    "number": ("type_number", bad_number),
    "boolean": ("type_boolean", bad_boolean),
    "country": ("country_shape", bad_country),
    "language": ("language_shape", bad_language),
    "timezone": ("timezone_shape", bad_timezone),
    "currency": ("currency_shape", bad_currency),
}
"""What a column is for -> the rule its cells can break, and how that shows. `text` and `key` have no form."""
