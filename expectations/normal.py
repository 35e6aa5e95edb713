"""The form in which two addresses are compared, once more for the gate."""

import polars as pl

EDGE = r"^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$"
INVISIBLE = r"[\p{Z}\p{C}]+"
AT_GMAIL = r"^([^@+]*)(?:\+[^@]*)?@(?:gmail|googlemail)\.com$"
PHONE_NOISE = r"[\p{Z}\p{C}./-]+"
TRUNK_ZERO = r"^([()]*(?:\+|00)[()]*[1-9][0-9]{0,2}[()]*)\(0\)"


def normalised_email(column: str) -> pl.Expr:
    """An address in the form in which two are compared: nothing invisible at its ends, lower case; null when empty."""
    text = pl.col(column).str.replace_all(EDGE, "").str.to_lowercase()
    return pl.when(text != "").then(text).alias(column)


def mailbox(column: str) -> pl.Expr:
    """Which mailbox a normalised e-mail address leads to, the same for every spelling; null when empty.

    Gmail, also called googlemail.com, takes no notice of dots before the @, nor of anything behind a +.
    """
    text = pl.col(column).str.replace_all(INVISIBLE, "")
    name = text.str.extract(AT_GMAIL, 1).str.replace_all(".", "", literal=True)
    return pl.when(name != "").then(name + "@gmail.com").when(text != "").then(text)


def normalised_phone(column: str) -> pl.Expr:
    """A phone number in the form in which two are compared; null when nothing is left.

    Digits, with a + for a leading 00, and without the (0) that some write after a country code.
    """
    text = pl.col(column).str.replace_all(PHONE_NOISE, "").str.replace(TRUNK_ZERO, "${1}")
    text = text.str.replace_all("[()]+", "").str.replace("^00", "+")
    return pl.when(text != "").then(text).alias(column)
