"""What customers allow, straight from raw/, for the re-count: it shares no SQL with the dbt project."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from expectations.normal import normalised_email, normalised_phone
from expectations.remembered import remembered
from recsys.night import Night
from recsys.vocabulary import EVERY_CHANNEL

STRICTEST_FIRST = {"withdrawn": 0, "denied": 1, "granted": 2}
ADDRESSES = {"email": "email", "sms": "phone"}
"""Contact channels that lead to an address, and the column it is in."""
NOBODY = pl.DataFrame(schema={"customer_id": pl.String})


@dataclass(frozen=True)
class Permissions:
    """What customers said and what is known against them, up to the night's end.

    `customers`: customer_id, email, phone, both normalised. `consents`: marketing statements. `suppressions`:
    statements with normalised email and phone, and those that are remembered, by customer_id. `paused`, `minors`,
    `personalised` (whose behaviour may be used): customer_id.
    """

    customers: pl.DataFrame
    consents: pl.DataFrame
    suppressions: pl.DataFrame
    paused: pl.DataFrame = field(default_factory=NOBODY.clone)
    minors: pl.DataFrame = field(default_factory=NOBODY.clone)
    personalised: pl.DataFrame = field(default_factory=NOBODY.clone)


def gather(night: Night) -> Permissions:
    """Read the permissions of a night from its raw tables."""
    addresses = (normalised_email("email"), normalised_phone("phone"))
    until = pl.col("occurred_at") < night.end
    people = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "email", "phone", "birth_year"])
    said_no = pl.col("status") != "granted"
    consents = pl.scan_parquet(night.raw / "consents.parquet").filter(until | said_no).collect()
    against = (
        pl.scan_parquet(night.raw / "suppressions.parquet")
        .with_columns(addresses)
        .pipe(everywhere_when_erased)
        .collect()
    )
    said = Permissions(
        people.select("customer_id", *addresses),
        consents.filter(pl.col("purpose") == "marketing"),
        pl.concat([against, remembered(night)], how="diagonal"),
        paused(pl.read_parquet(night.raw / "preferences.parquet").filter(until), night.run_date),
        minors(people, night.shop.permission.min_age, night.run_date),
    )
    return replace(said, personalised=personalised(said, consents, night.end))


def everywhere_when_erased(suppressions: pl.LazyFrame) -> pl.LazyFrame:
    """An erasure holds for every contact channel, whichever it names."""
    channel = pl.when(pl.col("reason") == "erased").then(pl.lit(EVERY_CHANNEL)).otherwise("channel")
    return suppressions.with_columns(channel=channel)


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
    """Which of the people (customer_id, email, phone, normalised) a suppression names, by any of the three."""
    against = permissions.suppressions.filter(pl.col("channel").is_in([contact_channel, EVERY_CHANNEL]))
    named = [
        people.join(against.select(key).drop_nulls(), on=key, how="semi").select("customer_id")
        for key in ("customer_id", "email", "phone")
    ]
    return pl.concat(named).unique()


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
    """customer_id and address of every customer who refused on a contact channel, or is suppressed on it.

    No rows for contact channels without addresses.
    """
    if contact_channel not in ADDRESSES:
        return NOBODY.with_columns(address=pl.lit(None, pl.String))
    statements = newest_statements(permissions.consents, contact_channel)
    refused = statements.filter(pl.col("status").is_in(["withdrawn", "denied"])).select("customer_id")
    objectors = pl.concat([refused, suppressed(permissions, permissions.customers, contact_channel)]).unique()
    return addressed(permissions, contact_channel).join(objectors, on="customer_id", how="semi")


def addressed(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id and address, normalised, of every customer who has one for the contact channel."""
    column = ADDRESSES[contact_channel]
    return permissions.customers.select("customer_id", address=column).drop_nulls()
