"""What the demo shop's mail tool sent and what came back, and the bookings of its editors."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import STYLES
from recsys.demo.catalogue import Catalogue
from recsys.demo.draws import Flags, Ints, column_per_row, stream
from recsys.demo.horizon import DAYS, WEEKS, calendar_day, days_of, moment
from recsys.demo.people import People
from recsys.demo.permissions import NOT_YET, Permissions, suppression_rows
from recsys.demo.purchases import NOBODY

_TUESDAY, _FRIDAY = 1, 4
_REACTIONS = ("open", "click", "unsubscribe", "complaint", "bounce")


@dataclass(frozen=True)
class Messages:
    """`contacts`: day, moment, message, customer, channel, campaign. `engagements`: day, moment, message, event_type,
    product (NOBODY where empty). `suppressions`: as in `Permissions`, with those that reactions led to. `bookings`:
    day, product (NOBODY: content), content, starts_on, ends_on, percent.
    """

    contacts: pl.DataFrame
    engagements: pl.DataFrame
    suppressions: pl.DataFrame
    bookings: pl.DataFrame


def simulate_messages(people: People, catalogue: Catalogue, permissions: Permissions, seed: int) -> Messages:
    """Every message, reaction and booking within the horizon."""
    rng = stream(seed, "messages")
    planned = _planned(rng, people, permissions)
    reaction = np.searchsorted(np.cumsum([0.28, 0.07, 0.002, 0.0003, 0.001]), rng.random(len(planned)), side="right")
    reaction = np.where(planned["channel"].to_numpy() == "email", reaction, len(_REACTIONS))
    is_last = (reaction >= _REACTIONS.index("unsubscribe")) & (reaction < len(_REACTIONS))
    contacts, reaction = _until_they_had_enough(people, planned, reaction, is_last)
    engagements = _engagements(rng, people, catalogue, contacts, reaction)
    return Messages(
        contacts=contacts,
        engagements=engagements.drop("customer"),
        suppressions=_suppressions(permissions.suppressions, engagements),
        bookings=_bookings(stream(seed, "bookings"), catalogue),
    )


def _planned(rng: np.random.Generator, people: People, permissions: Permissions) -> pl.DataFrame:
    """Letters on Tuesdays, text messages every fourth Friday, a welcome two days after sign-up; only to the permitted.

    The tool sends between 9 and 11 o'clock local time, never in the hours in which clocks change.
    """
    has_email = people.cards["email_before"].is_not_null().to_numpy()
    has_phone = people.cards["phone_before"].is_not_null().to_numpy()
    email = (np.where(has_email, permissions.email_from, NOT_YET), permissions.email_until)
    sms = (np.where(has_phone, permissions.sms_from, NOT_YET), permissions.sms_until)
    parts = []
    for week in range(WEEKS):
        parts.append(_sent(rng, week * 7 + _TUESDAY, email, "email", f"letter_{week:02d}", 0.08))
        if week % 4 == 0:
            parts.append(_sent(rng, week * 7 + _FRIDAY, sms, "sms", f"text_{week:02d}", 0.12))
    welcomed = np.flatnonzero((people.order_from > 0) & (people.order_from < DAYS - 2))
    at = moment(people.order_from[welcomed] + 2, rng.integers(9 * 3600, 11 * 3600, len(welcomed)))
    allowed = (email[0][welcomed] < at) & (at < email[1][welcomed])
    parts.append(_contacts(at[allowed], welcomed[allowed], "email", "welcome"))
    return pl.concat(parts).sort("moment", "customer", "channel")


def _sent(
    rng: np.random.Generator, day: int, allowed: tuple[Ints, Ints], channel: str, campaign: str, share: float
) -> pl.DataFrame:
    if day >= DAYS:
        return _contacts(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), channel, campaign)
    chosen = np.flatnonzero(rng.random(len(allowed[0])) < share)
    at = moment(np.full(len(chosen), day), rng.integers(9 * 3600, 11 * 3600, len(chosen)))
    may = (allowed[0][chosen] < at) & (at < allowed[1][chosen])
    return _contacts(at[may], chosen[may], channel, campaign)


def _contacts(at: Ints, customers: Ints, channel: str, campaign: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"day": days_of(at), "moment": at, "customer": customers},
        schema={"day": pl.Int32, "moment": pl.Int64, "customer": pl.Int32},
    ).with_columns(
        channel=pl.lit(channel, dtype=pl.Categorical),
        campaign=pl.lit(campaign, dtype=pl.Categorical),
    )


def _until_they_had_enough(
    people: People, planned: pl.DataFrame, reaction: Ints, is_last: Flags
) -> tuple[pl.DataFrame, Ints]:
    """The messages that were really sent, numbered: nobody gets another after unsubscribing or bouncing."""
    who, at = planned["customer"].to_numpy(), planned["moment"].to_numpy()
    had_enough = np.full(people.size, NOT_YET)
    np.minimum.at(had_enough, who[is_last], at[is_last])
    sent = at <= had_enough[who]
    contacts = planned.filter(pl.Series(sent)).with_columns(message=pl.int_range(pl.len(), dtype=pl.Int32))
    return contacts, reaction[sent]


def _engagements(
    rng: np.random.Generator, people: People, catalogue: Catalogue, contacts: pl.DataFrame, reaction: Ints
) -> pl.DataFrame:
    """Reactions, minutes to days after the message; clicks name a product to the customer's taste."""
    rows = np.flatnonzero(reaction < len(_REACTIONS))
    kind = reaction[rows]
    at = contacts["moment"].to_numpy()[rows] + (rng.exponential(30_000, len(rows)) + 30).astype(np.int64)
    inside = days_of(at) < DAYS
    rows, kind, at = rows[inside], kind[inside], at[inside]
    who, day = contacts["customer"].to_numpy()[rows], days_of(at)
    category = catalogue.pick_categories(rng, people.category_taste, who, day)
    product = catalogue.pick_products(rng, category * len(STYLES) + column_per_row(rng, people.style_taste[who]), day)
    return pl.DataFrame(
        {
            "day": day,
            "moment": at,
            "message": contacts["message"].to_numpy()[rows],
            "customer": who,
            "event_type": pl.Series(_REACTIONS, dtype=pl.Categorical)[kind],
            "product": np.where(kind == _REACTIONS.index("click"), product, NOBODY),
        }
    ).sort("day", "moment", "message")


def _suppressions(known: pl.DataFrame, engagements: pl.DataFrame) -> pl.DataFrame:
    """All suppressions: unsubscribing, complaining and bouncing suppress the e-mail address a minute later."""
    parts = [known]
    for event_type, reason in (("unsubscribe", "unsubscribe"), ("complaint", "complaint"), ("bounce", "hard_bounce")):
        rows = engagements.filter(pl.col("event_type") == event_type)
        at, who = rows["moment"].to_numpy() + 60, rows["customer"].to_numpy().astype(np.int64)
        parts.append(suppression_rows(at, who, "email", "email", reason))
    return pl.concat(parts).filter(pl.col("day") < DAYS).sort("day", "moment", "customer", "channel", "reason")


def _bookings(rng: np.random.Generator, catalogue: Catalogue) -> pl.DataFrame:
    """Two products and one piece of content for every week, booked on the Monday before."""
    weeks = np.repeat(np.arange(WEEKS), 3)
    is_content = np.arange(len(weeks)) % 3 == 2
    lasting = catalogue.first_of_cell[:-1]
    return pl.DataFrame(
        {
            "day": np.maximum(weeks * 7 - 7, 0),
            "product": np.where(is_content, NOBODY, lasting[rng.integers(0, len(lasting), len(weeks))]),
            "content": pl.Series([f"story-{week:02d}" for week in weeks]).zip_with(
                pl.Series(is_content), pl.Series([None] * len(weeks), dtype=pl.String)
            ),
            "starts_on": [calendar_day(7 * int(week)) for week in weeks],
            "ends_on": [calendar_day(7 * int(week) + 6) for week in weeks],
            "percent": rng.integers(2, 7, len(weeks)) * 5,
        }
    )
