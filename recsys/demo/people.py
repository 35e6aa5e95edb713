"""The demo shop's customers: when they signed up, what they like, how active they are, and where they can be reached."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import IS_PROJECT, STYLES, WEIGHTS
from recsys.demo.draws import Flags, Floats, Ints, Shares, one_of, stream, tastes, within
from recsys.demo.horizon import DAYS, DEFAULT_THROUGH, MIDNIGHTS, busy_days, clock, day_number, days_of, moment

SEGMENTS = 6
FIRST_SIGN_UP = 1_640_995_200
"""2022-01-01."""
_FIRST_NAMES = ("Alex", "Robin", "Kim", "Sascha", "Toni", "Luca", "Noa", "Mika", "Jule", "Zoë", "René", "Charlie")
_LAST_NAMES = ("Muster", "Beispiel", "Sample", "Exempel", "Proef", "O'Modell", "Übung", "Demo", "Probst-Test", "Vorlage")
_DOMAINS = {"example.com": 0.5, "example.org": 0.3, "example.net": 0.2}
_COUNTRIES = {"DE": 0.72, "AT": 0.1, "CH": 0.08, "NL": 0.06, "FR": 0.04}


@dataclass(frozen=True)
class People:
    """All customers, oldest sign-up first; a customer's number is the position. Days before the horizon are below 0.

    Customers number 0 to `known` - 1 have signed up by the end of the default last day, the others in the month after.
    """

    known: int
    created_at: Ints
    segment: Ints
    category_taste: Shares
    style_taste: Shares
    orders_expected: Floats
    """Orders over the whole horizon, for somebody who is there all of it."""
    has_no_history: Flags
    order_from: Ints
    browse_from: Ints
    last_day: Ints
    is_guest_first: Flags
    """Ordered once as a guest before signing up."""
    moved_at: Ints
    """When an old customer id gave way to the present one; 0 for those who never had one."""
    has_second_device: Flags
    changed_at: Ints
    """When e-mail address or phone number changed; 0 for never."""
    cards: pl.DataFrame
    """Per customer: names, country, language, timezone, birth_year, and e-mail and phone before and after the change."""

    @property
    def size(self) -> int:
        return len(self.created_at)

    def emails_at(self, people: Ints, moments: Ints) -> pl.Series:
        """The e-mail addresses the customers had at those moments, as they typed them."""
        return self._at("email", people, moments)

    def phones_at(self, people: Ints, moments: Ints) -> pl.Series:
        """The phone numbers the customers had at those moments."""
        return self._at("phone", people, moments)

    def _at(self, kind: str, people: Ints, moments: Ints) -> pl.Series:
        is_changed = (self.changed_at[people] > 0) & (self.changed_at[people] <= moments)
        chosen = self.cards.select(f"{kind}_before", f"{kind}_after")[people].with_columns(pl.Series("c", is_changed))
        return chosen.select(pl.when("c").then(f"{kind}_after").otherwise(f"{kind}_before").alias(kind)).to_series()


def make_people(customers: int, seed: int) -> People:
    """The people of a shop that has `customers` customers at the end of the default last day."""
    rng = stream(seed, "people")
    created_at = _sign_ups(rng, customers)
    size = len(created_at)
    created = days_of(created_at)
    is_new = created >= 0

    segment = rng.integers(0, SEGMENTS, size)
    category_taste, style_taste = _tastes(rng, segment)
    has_no_history = rng.random(size) < 0.05
    leaves_early = rng.random(size) < 0.25
    last_day = np.where(leaves_early, within(rng, np.maximum(created + 1, 0), np.full(size, DAYS - 1)), DAYS - 1)
    is_guest_first = is_new & ~has_no_history & (created > 1) & (rng.random(size) < 0.15)
    had_old_id = ~is_new & ~has_no_history & (rng.random(size) < 0.04)
    moved = moment(rng.integers(60, 385, size), clock(rng, size))
    lead = within(rng, np.ones(size, dtype=np.int64), np.full(size, 30))
    changes = ~has_no_history & (rng.random(size) < 0.12)
    changed_from = np.clip(np.maximum(created + 1, 200), 0, DAYS - 1)
    changed_at = moment(within(rng, changed_from, np.full(size, DAYS - 1)), clock(rng, size))
    return People(
        known=customers,
        created_at=created_at,
        segment=segment,
        category_taste=category_taste,
        style_taste=style_taste,
        orders_expected=np.where(has_no_history, 0.0, rng.gamma(0.9, 1 / 0.9, size)),
        has_no_history=has_no_history,
        order_from=np.clip(created, 0, DAYS - 1),
        browse_from=np.clip(np.where(is_new, created - lead, 0), 0, DAYS - 1),
        last_day=np.maximum(last_day, np.clip(created, 0, DAYS - 1)),
        is_guest_first=is_guest_first,
        moved_at=np.where(had_old_id, moved, 0),
        has_second_device=rng.random(size) < 0.25,
        changed_at=np.where(changes & (changed_at > created_at), changed_at, 0),
        cards=_cards(rng, size),
    )


def _sign_ups(rng: np.random.Generator, customers: int) -> Ints:
    """Moments of sign-up, in order: about two thirds before the horizon, a tenth of a percent per day within it."""
    through = day_number(DEFAULT_THROUGH)
    recent = round(customers * 0.00096 * (through + 1))
    later = round(customers * 0.00096 * (DAYS - 1 - through))
    before = FIRST_SIGN_UP + (rng.beta(1.3, 1.0, customers - recent) * (MIDNIGHTS[0] - FIRST_SIGN_UP)).astype(np.int64)
    first, last = np.zeros(recent, dtype=np.int64), np.full(recent, through)
    during = moment(busy_days(rng, first, last), clock(rng, recent))
    after = moment(rng.integers(through + 1, DAYS, later), clock(rng, later))
    return np.sort(np.concatenate([before, during, after]))


def _tastes(rng: np.random.Generator, segment: Ints) -> tuple[Shares, Shares]:
    """Shares of categories and of styles per customer: individual around the segment's, projects left out."""
    usual = WEIGHTS * ~IS_PROJECT
    averages = usual * rng.lognormal(0, 0.8, (SEGMENTS, len(usual)))
    averages /= averages.sum(axis=1, keepdims=True)
    styles = rng.dirichlet(np.full(len(STYLES), 6.0), SEGMENTS)
    by_category = tastes(rng, averages.astype(np.float32)[segment], 5.0)
    by_style = tastes(rng, styles.astype(np.float32)[segment], 1.6)
    return by_category, by_style


def _cards(rng: np.random.Generator, size: int) -> pl.DataFrame:
    """Names and addresses. A few share an address, a few have none, a few have one that is not valid."""
    number = np.arange(size)
    first = rng.integers(0, len(_FIRST_NAMES), size)
    last = rng.integers(0, len(_LAST_NAMES), size)
    country = one_of(rng, size, _COUNTRIES)
    shared = rng.random(size) < 0.01
    owner = np.where(shared, within(rng, np.zeros(size, dtype=np.int64), number), number)
    email_fault = rng.random(size)
    phone_fault = rng.random(size)
    has_email = rng.random(size) < 0.96
    has_phone = rng.random(size) < 0.75
    changes_email = rng.random(size) < 0.6
    ascii_names = pl.Series([name.lower().encode("ascii", "ignore").decode().replace("'", "") for name in _FIRST_NAMES])
    frame = pl.DataFrame(
        {
            "first_name": pl.Series(_FIRST_NAMES)[first],
            "last_name": pl.Series(_LAST_NAMES)[last],
            "country": country,
            "owner": owner,
            "typed": ascii_names[first[owner]],
            "domain": pl.Series(one_of(rng, size, _DOMAINS))[owner],
            "birth_year": np.where(rng.random(size) < 0.7, rng.integers(1940, 2008, size), 0),
            "line": (number * 7_919 + 104_729) % 1_000_000_007,  # distinct while there are fewer customers than that
        }
    )
    local = pl.format("{}.{}", "typed", pl.col("owner") + 1)
    email = pl.format("{}@{}", local, "domain")
    phone = pl.lit("+999") + pl.col("line").cast(pl.String).str.zfill(10)
    language = pl.col("country").replace_strict(
        {"DE": "de", "AT": "de-AT", "CH": "de-CH", "NL": "nl", "FR": "fr"}, return_dtype=pl.String
    )
    zone = pl.col("country").replace_strict(
        {
            "DE": "Europe/Berlin",
            "AT": "Europe/Vienna",
            "CH": "Europe/Zurich",
            "NL": "Europe/Amsterdam",
            "FR": "Europe/Paris",
        },
        return_dtype=pl.String,
    )
    flags = {
        "shared": shared,
        "has_email": has_email,
        "has_phone": has_phone,
        "changes_email": changes_email,
        "no_at": email_fault < 0.003,
        "two_at": (email_fault >= 0.003) & (email_fault < 0.005),
        "loud": (email_fault >= 0.005) & (email_fault < 0.03),
        "short": phone_fault < 0.004,
    }
    frame = frame.with_columns(pl.Series(name, values) for name, values in flags.items())
    typed = (
        pl.when("no_at")
        .then(pl.format("{} at example", local))
        .when("two_at")
        .then(pl.format("{}@@{}", local, "domain"))
        .when(pl.col("loud") | pl.col("shared"))
        .then(email.str.to_titlecase())
        .otherwise(email)
    )
    dialled = pl.when("short").then(pl.lit("0123")).otherwise(phone)
    moved = pl.format("{}.new@{}", local, "domain")
    return frame.select(
        "first_name",
        "last_name",
        "country",
        language.alias("language"),
        zone.alias("timezone"),
        pl.when(pl.col("birth_year") > 0).then("birth_year").alias("birth_year"),
        pl.when("has_email").then(typed).alias("email_before"),
        pl.when("changes_email").then(moved).when("has_email").then(typed).alias("email_after"),
        pl.when("has_phone").then(dialled).alias("phone_before"),
        pl.when("changes_email").then(pl.when("has_phone").then(dialled)).otherwise(phone).alias("phone_after"),
    )
