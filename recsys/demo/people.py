"""The demo shop's customers: when they signed up, what they like, how active they are, where they can be reached."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import IS_PROJECT, STYLES, WEIGHTS
from recsys.demo.cards import make_cards
from recsys.demo.draws import Flags, Floats, Ints, Shares, stream, tastes, within
from recsys.demo.horizon import DAYS, DEFAULT_THROUGH, MIDNIGHTS, busy_days, clock, day_number, days_of, moment

SEGMENTS = 6
FIRST_SIGN_UP = 1_640_995_200
"""2022-01-01."""


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
    """Per customer: names, country, language, timezone, birth_year; e-mail and phone before and after the change."""

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
    last_day = np.where(leaves_early, within(rng, np.clip(created + 1, 0, DAYS - 1), np.full(size, DAYS - 1)), DAYS - 1)
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
        orders_expected=np.where(has_no_history, 0.0, rng.gamma(1.4, 1 / 1.4, size)),
        has_no_history=has_no_history,
        order_from=np.clip(created, 0, DAYS - 1),
        browse_from=np.clip(np.where(is_new, created - lead, 0), 0, DAYS - 1),
        last_day=np.maximum(last_day, np.clip(created, 0, DAYS - 1)),
        is_guest_first=is_guest_first,
        moved_at=np.where(had_old_id, moved, 0),
        has_second_device=rng.random(size) < 0.25,
        changed_at=np.where(changes & (changed_at > created_at), changed_at, 0),
        cards=make_cards(rng, size),
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
