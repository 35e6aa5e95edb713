"""The independent re-count: who is in the finished files, and may they be?

Read from the files as they would leave and from raw consents, suppressions and customers; nothing that dbt made
decides here, and no SQL is shared with it. Whatever it finds is critical.
"""

from dataclasses import dataclass

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from recsys.audit import Check
from recsys.config import Channel
from recsys.night import Night
from recsys.vocabulary import EVERY_CHANNEL, Status

EDGE = r"^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$"
PHONE_NOISE = r"[\p{Z}\p{C}()./-]+"
STRICTEST_FIRST = {"withdrawn": 0, "denied": 1, "granted": 2}


@dataclass(frozen=True)
class Permissions:
    """What customers said up to the night's end, and whatever is known against them.

    `customers`: customer_id, email, phone, both normalised. `consents`: marketing statements. `suppressions`:
    statements with normalised email and phone.
    """

    customers: pl.DataFrame
    consents: pl.DataFrame
    suppressions: pl.DataFrame


def gather(night: Night) -> Permissions:
    """Read the permissions of a night from its raw tables. A yes counts from its moment on, a no once it is known."""
    addresses = (normalised_email("email"), normalised_phone("phone"))
    until = pl.col("occurred_at") < night.end
    return Permissions(
        pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "email", "phone"]).with_columns(
            addresses
        ),
        pl.scan_parquet(night.raw / "consents.parquet")
        .filter(until | (pl.col("status") != "granted"), pl.col("purpose") == "marketing")
        .collect(),
        pl.scan_parquet(night.raw / "suppressions.parquet").with_columns(addresses).collect(),
    )


def check(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """The re-count of one channel's finished file, one check per promise. Details are counts."""
    suite, cells = f"recount/{channel.name}", evidence.audience(channel)
    exported, slots = evidence.exported(channel), evidence.slots(channel)
    people = cells.select("customer_id").unique()
    contact_channel = channel.contact_channel.value
    newest = newest_statements(permissions.consents, contact_channel)
    granted = newest.filter(pl.col("status") == "granted")
    unexpired = newest.filter(pl.col("valid_until").is_null() | (pl.col("valid_until") > evidence.night.end))
    shown = slots.select("customer_id", "rank", "product_id")
    promised = (
        evidence.recommendations.filter(pl.col("rank") <= channel.slots)
        .join(people, on="customer_id", how="semi")
        .select("customer_id", pl.col("rank").cast(pl.Int64), "product_id")
    )
    differing = _beyond(shown, promised) + _beyond(promised, shown)
    checks = [
        found_none(suite, "recipients_are_customers", _beyond(people, permissions.customers), people.height),
        found_none(suite, "recipients_listed_once", cells.height - people.height, cells.height),
        found_none(suite, "newest_statement_is_granted", _beyond(people, granted), people.height),
        found_none(suite, "consent_not_expired", _beyond(people, unexpired), people.height),
        found_none(suite, "not_suppressed", _suppressed(cells, permissions, contact_channel), cells.height),
        critical(
            suite,
            "recipients_are_those_decided",
            passed=cells.height == exported.height
            and not _beyond(people, exported)
            and not _beyond(exported.unique(), people),
            detail=f"{cells.height:,} rows in the file, {exported.height:,} decisions to export",
        ),
        found_none(suite, "items_are_the_recommendations", differing, promised.height, noun="items"),
        _decided_once(suite, evidence, permissions, channel),
    ]
    if "email" in cells.columns:
        is_theirs = (pl.col("email") == pl.col("email_right")).fill_null(value=False)
        wrong = cells.join(permissions.customers, on="customer_id", how="left").filter(~is_theirs).height
        checks.append(found_none(suite, "address_is_the_customers", wrong, cells.height))
    return checks


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


def normalised_email(column: str) -> pl.Expr:
    """An address in the form in which two are compared: nothing invisible at its ends, lower case; null when empty."""
    text = pl.col(column).str.replace_all(EDGE, "").str.to_lowercase()
    return pl.when(text != "").then(text).alias(column)


def normalised_phone(column: str) -> pl.Expr:
    """A phone number in the form in which two are compared: digits and a + for a leading 00; null when empty."""
    text = pl.col(column).str.replace_all(PHONE_NOISE, "").str.replace("^00", "+")
    return pl.when(text != "").then(text).alias(column)


def _suppressed(cells: pl.DataFrame, permissions: Permissions, contact_channel: str) -> int:
    """Recipients that a suppression names: by id, by what the shop knows of them, or by the address in the file."""
    people = [cells.select("customer_id").join(permissions.customers, on="customer_id", how="left")]
    if "email" in cells.columns:
        people.append(cells.select("customer_id", normalised_email("email"), pl.lit(None, pl.String).alias("phone")))
    return suppressed(permissions, pl.concat(people), contact_channel).height


def _decided_once(suite: str, evidence: Evidence, permissions: Permissions, channel: Channel) -> Check:
    """Every known customer has exactly one decision for the channel, with a status we have a word for."""
    decisions = evidence.tables["fct_decisions"].filter(pl.col("channel") == channel.name)
    customers = permissions.customers.select("customer_id")
    words = decisions["status"].is_in([status.value for status in Status]).fill_null(value=False)
    passed = (
        decisions.height == customers.height
        and decisions["customer_id"].n_unique() == customers.height
        and not _beyond(customers, decisions)
        and bool(words.all())
    )
    detail = f"{decisions.height:,} decisions for {customers.height:,} customers"
    return critical(suite, "every_customer_decided_once", passed=passed, detail=detail)


def _beyond(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    """How many rows are not among `those`, compared by the columns of `rows`; a missing key is never among them."""
    return rows.join(those, on=rows.columns, how="anti").height
