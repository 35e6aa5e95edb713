"""What the demo shop's customers allow, forbid and choose, and how that changes over time."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import CATEGORIES, STYLES
from recsys.demo.draws import Flags, Floats, Ints, one_of, stream, within
from recsys.demo.horizon import DAYS, MIDNIGHTS, calendar_day, clock, days_of, moment
from recsys.demo.people import People
from recsys.vocabulary import ContactChannel

NOT_YET = np.int64(2**62)
"""A moment that never comes."""
RENEWAL_FROM = MIDNIGHTS[0] - 90 * 86_400
YEAR = 365 * 86_400
_GRANTED_AT_FIRST = {"email": 0.72, "sms": 0.50, "push": 0.30, "post": 0.55, "ads": 0.25, "personalisation": 0.8}
_SAID_NOTHING = {"email": 0.05, "sms": 0.25, "push": 0.45, "post": 0.30, "ads": 0.40, "personalisation": 0.05}


@dataclass(frozen=True)
class Permissions:
    """`consents`: day, moment, customer, channel, purpose, status, ends_at (moment or null), source.

    `email_from`, `email_until`, `sms_from`, `sms_until`: per customer, between which moments the shop's mail tool
    believes it may write (NOT_YET for never). `suppressions`: day, moment, customer, told_by (customer_id, email or
    phone), channel, reason. `preferences`: day, moment, customer, topic, choice, value.
    """

    consents: pl.DataFrame
    email_from: Ints
    email_until: Ints
    sms_from: Ints
    sms_until: Ints
    suppressions: pl.DataFrame
    preferences: pl.DataFrame


def simulate_permissions(people: People, seed: int) -> Permissions:
    """Every statement made about permissions and preferences up to the end of the horizon."""
    statements = []
    spans: dict[str, tuple[Ints, Ints]] = {}
    for channel in ContactChannel:
        rng = stream(seed, f"consents {channel}")
        marketing, spans[channel] = _statements(rng, people, channel, "marketing")
        # one question on every form, so everywhere the same answer at the same moment
        personal, _ = _statements(stream(seed, "consents personalisation"), people, channel, "personalisation")
        # who was not asked about contact was not asked about personalisation either
        statements += [marketing, personal.join(marketing.select("customer").unique(), on="customer", how="semi")]
    consents = pl.concat(statements).filter(pl.col("day") < DAYS)
    return Permissions(
        consents=consents.sort("day", "moment", "customer", "channel", "purpose", "status"),
        email_from=spans["email"][0],
        email_until=spans["email"][1],
        sms_from=spans["sms"][0],
        sms_until=spans["sms"][1],
        suppressions=_suppressions(stream(seed, "suppressions"), people),
        preferences=_preferences(stream(seed, "preferences"), people),
    )


def _statements(
    rng: np.random.Generator, people: People, channel: str, purpose: str
) -> tuple[pl.DataFrame, tuple[Ints, Ints]]:
    """Statements of one channel and purpose, and the span of the first permission per customer.

    At sign-up most say yes or no, some say nothing. A quarter of the yeses were asked again and since end after a year;
    some are withdrawn later, some of those given again. A few of the noes turn into a yes.
    """
    size = people.size
    asked = channel if purpose == "marketing" else purpose
    thrown, later = rng.random(size), rng.random(size)
    granted_share: Floats = np.full(size, _GRANTED_AT_FIRST[asked])
    if asked == "sms":  # hardly anybody allows text messages without giving a number
        has_phone = people.cards["phone_before"].is_not_null().to_numpy()
        granted_share = np.where(has_phone, granted_share, 0.04)
    grants = thrown < granted_share
    denies = ~grants & (thrown < 1 - _SAID_NOTHING[asked])
    created = people.created_at + 5
    end = np.full(size, MIDNIGHTS[DAYS] - 1)

    is_renewed = grants & (rng.random(size) < 0.25)
    renewed_at = within(rng, np.maximum(created + 600, RENEWAL_FROM), end)
    ends_at = np.where(is_renewed, renewed_at + YEAR, NOT_YET)
    withdraws = grants & (later < 0.13)
    from_then = np.where(is_renewed, renewed_at, created) + 600
    withdrawn_at = np.where(withdraws, within(rng, np.maximum(from_then, MIDNIGHTS[0] - YEAR), end), NOT_YET)
    returns = withdraws & (rng.random(size) < 0.2)
    returned_at = np.where(returns, withdrawn_at, 0) + within(rng, np.full(size, 5), np.full(size, 60)) * 86_400
    changes_mind = denies & (later < 0.12)
    granted_later_at = within(rng, np.maximum(created + 600, MIDNIGHTS[0]), end)

    never = np.full(size, NOT_YET)
    said = [
        (grants, created, "granted", "sign_up", never),
        (denies, created, "denied", "sign_up", never),
        (is_renewed, renewed_at, "granted", "renewal", ends_at),
        (withdraws, withdrawn_at, "withdrawn", "preference_centre", never),
        (returns, returned_at, "granted", "checkout", never),
        (changes_mind, granted_later_at, "granted", "checkout", never),
    ]
    rows = pl.concat(
        _statement(chosen, at, channel, purpose, status, source, until) for chosen, at, status, source, until in said
    )
    begins = np.where(grants, created, np.where(changes_mind, granted_later_at, NOT_YET))
    return rows, (begins, np.minimum(withdrawn_at, ends_at))


def _statement(
    chosen: Flags, at: Ints, channel: str, purpose: str, status: str, source: str, until: Ints
) -> pl.DataFrame:
    ends = until[chosen]
    return pl.DataFrame(
        {
            "day": pl.Series(np.maximum(days_of(at[chosen]), 0), dtype=pl.Int32),
            "moment": at[chosen],
            "customer": pl.Series(np.flatnonzero(chosen), dtype=pl.Int32),
        }
    ).with_columns(
        channel=pl.lit(channel, dtype=pl.Categorical),
        purpose=pl.lit(purpose, dtype=pl.Categorical),
        status=pl.lit(status, dtype=pl.Categorical),
        ends_at=pl.when(pl.Series(ends < NOT_YET)).then(pl.Series(ends)),
        source=pl.lit(source, dtype=pl.Categorical),
    )


def _suppressions(rng: np.random.Generator, people: People) -> pl.DataFrame:
    """Statements that somebody must not be contacted, from the shop's own service desk and from its mail tool."""
    cards = people.cards
    everybody = np.ones(people.size, dtype=bool)
    has_email = (cards["email_before"].is_not_null() & cards["email_after"].is_not_null()).to_numpy()
    has_phone = (cards["phone_before"].is_not_null() & cards["phone_after"].is_not_null()).to_numpy()
    kinds = [
        ("customer_id", everybody, "all", "do_not_contact", 0.005),
        ("customer_id", everybody, "all", "erased", 0.001),
        ("customer_id", everybody, "email", "unsubscribe", 0.008),
        ("email", has_email, "email", "unsubscribe", 0.01),
        ("email", has_email, "email", "hard_bounce", 0.008),
        ("email", has_email, "all", "complaint", 0.002),
        ("phone", has_phone, "sms", "unsubscribe", 0.012),
    ]
    first = np.maximum(people.created_at + 3600, MIDNIGHTS[0] - YEAR)
    parts = []
    for told_by, possible, channel, reason, share in kinds:
        chosen = np.flatnonzero(possible & (rng.random(people.size) < share))
        at = within(rng, first[chosen], np.full(len(chosen), MIDNIGHTS[DAYS] - 1))
        parts.append(suppression_rows(at, chosen, told_by, channel, reason))
    return pl.concat(parts)


def suppression_rows(at: Ints, customers: Ints, told_by: str, channel: str, reason: str) -> pl.DataFrame:
    """Rows as in `Permissions.suppressions`, all of one kind."""
    return pl.DataFrame({"day": np.maximum(days_of(at), 0), "moment": at, "customer": customers}).with_columns(
        told_by=pl.lit(told_by), channel=pl.lit(channel), reason=pl.lit(reason)
    )


def _preferences(rng: np.random.Generator, people: People) -> pl.DataFrame:
    """One or two choices of an eighth of the customers, made in the preference centre."""
    choosers = np.flatnonzero(rng.random(people.size) < 0.12)
    who = np.repeat(choosers, rng.integers(1, 3, len(choosers)))
    day = within(rng, np.maximum(people.order_from[who], 0), np.full(len(who), DAYS - 1))
    at = np.maximum(moment(day, clock(rng, len(who))), people.created_at[who] + 60)
    topics = np.array([category.name for category in CATEGORIES] + list(STYLES))
    shares = {"interested": 0.5, "not_interested": 0.25, "less_like_this": 0.15, "pause_until": 0.1}
    choice = one_of(rng, len(who), shares)
    until = np.array([calendar_day(number).isoformat() for number in range(DAYS + 120)])
    return (
        pl.DataFrame(
            {
                "day": days_of(at),
                "moment": at,
                "customer": who,
                "topic": topics[rng.integers(0, len(topics), len(who))],
                "choice": choice,
                "value": np.where(choice == "pause_until", until[day + rng.integers(14, 120, len(who))], ""),
            }
        )
        .filter(pl.col("day") < DAYS)
        .unique(["customer", "moment"], keep="first", maintain_order=True)
        .sort("day", "moment", "customer")
    )
