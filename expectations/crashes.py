"""What may be said about an exception: enough to find the cause, never a value of a customer."""

import re

LONGEST = 240
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]?")
PERSONAL_SHAPE = re.compile(r"\S*@\S*|\+?\d[\d ()./-]{4,}\d")
MASK = "…"


def harmless(text: str, names: frozenset[str] = frozenset()) -> str:
    """The first line of an error text with every quoted or bracketed part masked, unless it is one of `names`.

    Libraries quote the values they complain about and bracket lists of them. `names` are words of our own that may
    stay: column names, table names. E-mail addresses and long numbers are masked wherever they stand.
    """

    def masked(match: re.Match[str]) -> str:
        return match[0] if match[0][1:-1] in names else match[0][0] + MASK + match[0][0]

    lines = text.strip().splitlines() or [""]
    return PERSONAL_SHAPE.sub(MASK, QUOTED.sub(masked, lines[0]))[:LONGEST]


def explained(error: Exception, names: frozenset[str] = frozenset()) -> str:
    """The kind of exception and what of its text may be shown."""
    return f"could not be checked: {type(error).__name__}: {harmless(str(error), names)}"
