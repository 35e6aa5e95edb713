"""What may be said about an exception: enough to find the cause, never a value of a customer."""

import re
from itertools import chain

from expectations.columns import RECOMMENDATIONS, TABLES
from recsys.contracts import CONTRACTS

LONGEST = 240
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]?")
PERSONAL_SHAPE = re.compile(r"\S*@\S*|\+?\d[\d ()./-]{4,}\d")
MASK = "…"
OUR_WORDS = frozenset(
    chain(
        CONTRACTS,
        TABLES,
        RECOMMENDATIONS,
        *TABLES.values(),
        *(contract.column_names for contract in CONTRACTS.values()),
    )
)
"""Names of tables and columns: they may be shown."""


def harmless(text: str) -> str:
    """The first line of an error text with every quoted or bracketed part masked, unless it is one of our own words.

    Libraries quote the values they complain about and bracket lists of them. E-mail addresses and long numbers are
    masked wherever they stand.
    """
    lines = text.strip().splitlines() or [""]
    return PERSONAL_SHAPE.sub(MASK, QUOTED.sub(_masked, lines[0]))[:LONGEST]


def explained(error: Exception) -> str:
    """The kind of exception and what of its text may be shown."""
    return f"could not be checked: {type(error).__name__}: {harmless(str(error))}"


def _masked(match: re.Match[str]) -> str:
    return match[0] if match[0][1:-1] in OUR_WORDS else MASK
