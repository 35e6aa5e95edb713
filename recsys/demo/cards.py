"""The demo shop's address cards: names and places of people who do not exist, and where they could be reached."""

import unicodedata

import numpy as np
import polars as pl

from recsys.demo.draws import Ints, one_of, within

_FIRST_NAMES = ("Alex", "Robin", "Kim", "Sascha", "Toni", "Luca", "Noa", "Mika", "Jule", "Zoë", "René", "Charlie")
_LAST_NAMES = (
    "Muster",
    "Beispiel",
    "Sample",
    "Exempel",
    "Proef",
    "O'Modell",
    "Übung",
    "Demo",
    "Probst-Test",
    "Vorlage",
)
_DOMAINS = {"example.com": 0.5, "example.org": 0.3, "example.net": 0.2}
_COUNTRIES = {"DE": 0.72, "AT": 0.1, "CH": 0.08, "NL": 0.06, "FR": 0.04}
_LANGUAGES = {"DE": "de", "AT": "de-AT", "CH": "de-CH", "NL": "nl", "FR": "fr"}
_ZONES = {
    "DE": "Europe/Berlin",
    "AT": "Europe/Vienna",
    "CH": "Europe/Zurich",
    "NL": "Europe/Amsterdam",
    "FR": "Europe/Paris",
}
_NO_COUNTRY = "+999"
"""No country has this code."""


def make_cards(rng: np.random.Generator, size: int) -> pl.DataFrame:
    """Per person: first_name, last_name, country, language, timezone, birth_year, and e-mail and phone before and after
    they changed (`email_before`, `email_after`, `phone_before`, `phone_after`).

    A few people share an e-mail address, a few have none, and a few have one that is not valid; phones likewise, only
    that nobody shares one. A change is of the address or of the number; whoever never changes keeps what was before.
    Three in ten do not tell their birth year; one in fifty is too young for the shop's letters.
    """
    number = np.arange(size)
    country = pl.col("country")
    people = pl.DataFrame(
        {
            "first_name": pl.Series(_FIRST_NAMES)[rng.integers(0, len(_FIRST_NAMES), size)],
            "last_name": pl.Series(_LAST_NAMES)[rng.integers(0, len(_LAST_NAMES), size)],
            "country": one_of(rng, size, _COUNTRIES),
            "born": rng.integers(1940, 2008, size),
            "tells_age": rng.random(size) < 0.7,
            "changes_email": rng.random(size) < 0.6,
        }
    )
    email, new_email = _emails(rng, people["first_name"], number)
    phone, new_phone = _phones(rng, number)
    is_pupil = rng.random(size) < 0.02
    born = pl.when(pl.Series(is_pupil)).then(pl.Series(rng.integers(2011, 2015, size))).otherwise("born")
    changes_email = people["changes_email"]
    return people.select(
        "first_name",
        "last_name",
        "country",
        country.replace_strict(_LANGUAGES, return_dtype=pl.String).alias("language"),
        country.replace_strict(_ZONES, return_dtype=pl.String).alias("timezone"),
        pl.when("tells_age").then(born).alias("birth_year"),
        email.alias("email_before"),
        new_email.zip_with(changes_email, email).alias("email_after"),
        phone.alias("phone_before"),
        phone.zip_with(changes_email, new_phone).alias("phone_after"),
    )


def _ascii(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()


def _emails(rng: np.random.Generator, first_names: pl.Series, number: Ints) -> tuple[pl.Series, pl.Series]:
    """E-mail addresses as they were typed at first, and another for each person."""
    size = len(number)
    shares = rng.random(size) < 0.015
    owner = np.where(shares, within(rng, np.zeros_like(number), number), number)
    fault = rng.random(size)
    local = pl.format("{}.{}", pl.col("first_name").replace_strict({name: _ascii(name) for name in _FIRST_NAMES}), "n")
    address = pl.format("{}@{}", local, "domain")
    chosen = pl.DataFrame(
        {"first_name": first_names, "n": number + 1, "domain": pl.Series(one_of(rng, size, _DOMAINS))}
    )[owner]
    typed = (
        pl.when(pl.Series(rng.random(size) < 0.04))
        .then(None)
        .when(pl.Series(fault < 0.003))
        .then(pl.format("{} at example", local))
        .when(pl.Series(fault < 0.005))
        .then(pl.format("{}@@{}", local, "domain"))
        .when(pl.Series((fault < 0.03) | shares))
        .then(address.str.to_titlecase())
        .otherwise(address)
    )
    own = chosen.select(typed.alias("first"), pl.format("{}.new@{}", local, "domain").alias("second"))
    return own["first"], own["second"]


def _phones(rng: np.random.Generator, number: Ints) -> tuple[pl.Series, pl.Series]:
    """Phone numbers as they were given at first, and another for each person."""
    size = len(number)
    lines = pl.DataFrame({"first": (number * 7_919 + 104_729) % 1_000_000_007})  # distinct, and not in order
    first = pl.lit(_NO_COUNTRY) + pl.col("first").cast(pl.String).str.zfill(10)
    second = pl.lit(_NO_COUNTRY) + (pl.col("first") + 5_000_000_000).cast(pl.String)
    given = (
        pl.when(pl.Series(rng.random(size) < 0.25))
        .then(None)
        .when(pl.Series(rng.random(size) < 0.004))
        .then(pl.lit("0123"))
        .otherwise(first)
    )
    own = lines.select(given.alias("first"), second.alias("second"))
    return own["first"], own["second"]
