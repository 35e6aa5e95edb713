"""What customers allow, straight from raw/, for the re-count: it shares no SQL with the dbt project."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from expectations import identity
from expectations.normal import mailbox, normalised_email, normalised_phone
from expectations.remembered import remembered
from recsys.night import Night
from recsys.vocabulary import EVERY_CHANNEL

STRICTEST_FIRST = {"withdrawn": 0, "denied": 1, "granted": 2}
ADDRESSES = {"email": "email", "sms": "phone"}
"""Contact channels that lead to an address, and the column it is in."""
MATCHED_BY = {"email": ("email",), "sms": ("phone",), "ads": ("email", "phone")}
"""Contact channels that find people by address, and the columns of the addresses; each of them may do."""
SAME = {"email": "mailbox", "phone": "phone"}
"""Columns of addresses, and the column in which every spelling of one address is the same."""
OBJECTIONS = {"unsubscribe": "unsubscribe", "complaint": "complaint", "bounce": "hard_bounce"}
"""Reactions to a message that stand against its contact channel, and the reason of a suppression that says the same."""
NOBODY = pl.DataFrame(schema={"customer_id": pl.String})


@dataclass(frozen=True)
class Permissions:
    """What customers said and what is known against them, up to the night's end.

    `customers`: customer_id, email, phone, both normalised, and the mailbox of the email. `consents`: marketing
    statements of customers, their refusals under other ids included. `suppressions`: statements with mailbox and
    normalised phone, and, without `is_listed`, the reactions that are as good as one and what is remembered.
    `paused`, `minors`, `personalised` (whose behaviour may be used): customer_id. `updated`: customer_id, updated_at.
    `ids`: id, and the customer_id it leads to.
    """

    customers: pl.DataFrame
    consents: pl.DataFrame
    suppressions: pl.DataFrame
    paused: pl.DataFrame = field(default_factory=NOBODY.clone)
    minors: pl.DataFrame = field(default_factory=NOBODY.clone)
    personalised: pl.DataFrame = field(default_factory=NOBODY.clone)
    updated: pl.DataFrame = field(default_factory=NOBODY.clone)
    ids: pl.DataFrame = field(default_factory=NOBODY.clone)


def gather(night: Night) -> Permissions:
    """Read the permissions of a night from its raw tables."""
    people = pl.read_parquet(
        night.raw / "customers.parquet", columns=["customer_id", "email", "phone", "birth_year", "updated_at"]
    )
    ids = identity.resolved(night, people)
    consents = statements(pl.read_parquet(night.raw / "consents.parquet"), ids, night.end)
    preferences = (
        pl.read_parquet(night.raw / "preferences.parquet")
        .filter(pl.col("occurred_at") < night.end)
        .join(ids.rename({"customer_id": "leads_to"}), left_on="customer_id", right_on="id")
        .with_columns(customer_id="leads_to")
    )
    said = Permissions(
        people.select("customer_id", normalised_email("email"), normalised_phone("phone")).with_columns(
            mailbox=mailbox("email")
        ),
        consents.filter(pl.col("purpose") == "marketing"),
        _suppressions(night, ids),
        paused(preferences, night.run_date),
        minors(people, night.shop.permission.min_age, night.run_date),
        updated=people.select("customer_id", "updated_at"),
        ids=ids,
    )
    return replace(said, personalised=personalised(said, consents, night.end))


def statements(consents: pl.DataFrame, ids: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """The statements of known customers: whatever they said themselves before the end, and every refusal.

    A refusal counts whatever moment it carries, and also when it was said under an id that leads to the customer.
    """
    is_refusal = pl.col("status") != "granted"
    is_own = pl.col("customer_id") == pl.col("leads_to")
    return (
        consents.filter((pl.col("occurred_at") < end) | is_refusal)
        .join(ids.rename({"customer_id": "leads_to"}), left_on="customer_id", right_on="id")
        .filter(is_own | is_refusal)
        .with_columns(customer_id="leads_to")
        .drop("leads_to")
    )


def reactions(night: Night) -> pl.DataFrame:
    """customer_id, channel and reason of every reaction that stands against the message's contact channel.

    customer_id is the id that the message was sent to; it and channel are null for a message that nobody knows.
    """
    sent = pl.read_parquet(night.raw / "contacts.parquet", columns=["message_id", "customer_id", "channel"])
    return (
        pl.read_parquet(night.raw / "engagements.parquet", columns=["message_id", "event_type"])
        .with_columns(reason=pl.col("event_type").replace_strict(OBJECTIONS, default=None, return_dtype=pl.String))
        .filter(pl.col("reason").is_not_null())
        .join(sent, on="message_id", how="left")
        .select("customer_id", "channel", "reason")
    )


def _suppressions(night: Night, ids: pl.DataFrame) -> pl.DataFrame:
    """What the list, the reactions to messages and the suppression memory say, about the customer an id leads to if so.

    An erasure holds for every contact channel, whichever it names.
    """
    listed = pl.read_parquet(
        night.raw / "suppressions.parquet", columns=["customer_id", "email", "phone", "channel", "reason"]
    ).with_columns(normalised_email("email"), normalised_phone("phone"), is_listed=pl.lit(value=True))
    listed = listed.with_columns(mailbox=mailbox("email")).drop("email")
    reacted = reactions(night).with_columns(is_listed=pl.lit(value=False))
    kept = remembered(night).with_columns(is_listed=pl.lit(value=False))
    channel = pl.when(pl.col("reason") == "erased").then(pl.lit(EVERY_CHANNEL)).otherwise("channel")
    every = pl.concat([listed, reacted, kept], how="diagonal").with_columns(channel=channel)
    leads_to = ids.rename({"customer_id": "leads_to"})
    return (
        every.join(leads_to, left_on="customer_id", right_on="id", how="left", maintain_order="left")
        .with_columns(customer_id=pl.coalesce("leads_to", "customer_id"))
        .drop("leads_to")
    )


def newest_statements(consents: pl.DataFrame, contact_channel: str) -> pl.DataFrame:
    """One row per customer: the newest statement for a contact channel; of several at one moment the strictest.

    Withdrawn is stricter than denied, denied than granted, an earlier end than a later one or none.
    """
    return (
        consents.filter(pl.col("channel") == contact_channel)
        .with_columns(leniency=pl.col("status").replace_strict(STRICTEST_FIRST, default=-1, return_dtype=pl.Int8))
        .sort("occurred_at", "leniency", "valid_until", descending=[True, False, False], nulls_last=True)
        .unique("customer_id", keep="first", maintain_order=True)
        .select("customer_id", "status", "valid_until")
    )


def suppressed(permissions: Permissions, people: pl.DataFrame, contact_channel: str) -> pl.DataFrame:
    """Which of the people (customer_id, mailbox, normalised phone) a suppression names, by any of the three."""
    against = permissions.suppressions.filter(pl.col("channel").is_in([contact_channel, EVERY_CHANNEL]))
    named = [
        people.join(against.select(key).drop_nulls(), on=key, how="semi").select("customer_id")
        for key in ("customer_id", *SAME.values())
    ]
    return pl.concat(named).unique()


def erased(permissions: Permissions) -> pl.DataFrame:
    """customer_id of whoever asked to be erased, by any of the three."""
    against = permissions.suppressions.filter(pl.col("reason") == "erased")
    return suppressed(replace(permissions, suppressions=against), permissions.customers, EVERY_CHANNEL)


def paused(preferences: pl.DataFrame, run_date: date) -> pl.DataFrame:
    """Customers with a pause on the night's date: one of their newest requests names a later day, or no day at all."""
    text = pl.col("value").str.strip_chars()
    day = pl.when(text.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(text.str.to_date("%Y-%m-%d", strict=False))
    return (
        preferences.filter(pl.col("choice") == "pause_until")
        .filter(pl.col("occurred_at") == pl.col("occurred_at").max().over("customer_id"))
        .filter(day.is_null() | (day > run_date))
        .select("customer_id")
        .unique()
    )


def minors(people: pl.DataFrame, min_age: int, run_date: date) -> pl.DataFrame:
    """Customers who reach the age after the night's date if they were born on the last day of their year."""
    latest = run_date.year if (run_date.month, run_date.day) == (12, 31) else run_date.year - 1
    return people.filter(pl.col("birth_year") + min_age > latest).select("customer_id")


def personalised(permissions: Permissions, consents: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Customers whose behaviour may be used, of statements of both purposes.

    They allow personalisation somewhere and refuse it nowhere. They do not object to marketing altogether: no
    suppression for every channel, and no refusal on some channel without a consent on another. They are no minors.
    """
    statement = ("customer_id", "purpose", "channel")
    is_refusal = pl.col("status") != "granted"
    lasts = pl.col("valid_until").is_null() | (pl.col("valid_until") > end)
    answers = (
        consents.filter(pl.col("occurred_at") == pl.col("occurred_at").max().over(statement))
        .group_by(statement)
        .agg(refused=is_refusal.any(), allowed=(~is_refusal & lasts).all())
        .group_by("customer_id", "purpose")
        .agg(pl.col("refused", "allowed").any())
    )
    asked, sold = pl.col("purpose") == "personalisation", pl.col("purpose") == "marketing"
    objectors = [
        answers.filter(asked & pl.col("refused")),
        answers.filter(sold & pl.col("refused") & ~pl.col("allowed")),
        suppressed(permissions, permissions.customers, EVERY_CHANNEL),
        permissions.minors,
    ]
    return (
        permissions.customers.select("customer_id")
        .join(answers.filter(asked & pl.col("allowed")), on="customer_id", how="semi")
        .join(pl.concat(frame.select("customer_id") for frame in objectors), on="customer_id", how="anti")
    )


def objected(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id, kind, address and `same` of customers who refused on a contact channel, or are suppressed on it.

    No rows for contact channels without addresses.
    """
    statements = newest_statements(permissions.consents, contact_channel)
    refused = statements.filter(pl.col("status").is_in(["withdrawn", "denied"])).select("customer_id")
    objectors = pl.concat([refused, suppressed(permissions, permissions.customers, contact_channel)]).unique()
    return matched(permissions, contact_channel).join(objectors, on="customer_id", how="semi")


def addressed(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id, address, normalised, and `same`, alike in all its spellings, of who has one for the channel."""
    column = ADDRESSES[contact_channel]
    return permissions.customers.select("customer_id", address=column, same=SAME[column]).drop_nulls()


def matched(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id, kind (email or phone), address and `same`, as in `addressed`, by which a channel finds customers."""
    found = [
        permissions.customers.select("customer_id", kind=pl.lit(kind), address=kind, same=SAME[kind]).drop_nulls()
        for kind in MATCHED_BY.get(contact_channel, ())
    ]
    nobody = dict.fromkeys(("customer_id", "kind", "address", "same"), pl.String)
    return pl.concat([pl.DataFrame(schema=nobody), *found])
