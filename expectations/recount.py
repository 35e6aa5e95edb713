"""The independent re-count: who is in the finished files, and may they be?

Read from the files as they would leave and from raw consents, suppressions, preferences and customers; nothing
that dbt made decides here, and no SQL is shared with it. Whatever it finds is critical.
"""

from datetime import datetime

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from expectations.normal import mailbox, normalised_email
from expectations.permission import (
    ADDRESSES,
    MATCHED_BY,
    Permissions,
    addressed,
    matched,
    newest_statements,
    objected,
    suppressed,
)
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.vocabulary import Source, Status


def check(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """The re-count of one channel's finished file, one check per promise. Details are counts."""
    suite, cells = f"recount/{channel.name}", evidence.audience(channel)
    exported, slots = evidence.exported(channel), evidence.slots(channel)
    people = cells.select("customer_id").unique()
    contact_channel = channel.contact_channel.value
    shown = slots.select("customer_id", "rank", "product_id")
    promised = (
        evidence.recommendations.filter(pl.col("rank") <= channel.slots)
        .join(people, on="customer_id", how="semi")
        .select("customer_id", pl.col("rank").cast(pl.Int64), "product_id")
    )
    differing = _beyond(shown, promised) + _beyond(promised, shown)
    return [
        *permitted(suite, cells, permissions, contact_channel, evidence.night.end),
        critical(
            suite,
            "recipients_are_those_decided",
            passed=cells.height == exported.height
            and not _beyond(people, exported)
            and not _beyond(exported.unique(), people),
            detail=f"{cells.height:,} rows in the file, {exported.height:,} decisions to export",
        ),
        found_none(suite, "items_are_the_recommendations", differing, promised.height, noun="items"),
        decided_once(suite, evidence, permissions, channel),
    ]


def permitted(
    suite: str, cells: pl.DataFrame, permissions: Permissions, contact_channel: str, end: datetime
) -> list[Check]:
    """May the people in a finished file be written to over this contact channel? One check per rule."""
    people = cells.select("customer_id").unique()
    newest = newest_statements(permissions.consents, contact_channel)
    granted = newest.filter(pl.col("status") == "granted")
    unexpired = newest.filter(pl.col("valid_until").is_null() | (pl.col("valid_until") > end))
    checks = [
        found_none(suite, "recipients_are_customers", _beyond(people, permissions.customers), people.height),
        found_none(suite, "recipients_listed_once", cells.height - people.height, cells.height),
        found_none(suite, "newest_statement_is_granted", _beyond(people, granted), people.height),
        found_none(suite, "consent_not_expired", _beyond(people, unexpired), people.height),
        found_none(suite, "not_suppressed", _suppressed(cells, permissions, contact_channel), cells.height),
        found_none(suite, "not_paused", _among(people, permissions.paused), people.height),
        found_none(suite, "no_minor", _among(people, permissions.minors), people.height),
    ]
    if contact_channel in MATCHED_BY:
        checks += _addresses(suite, people, permissions, contact_channel)
    if "email" in cells.columns:
        is_theirs = (pl.col("email") == pl.col("email_right")).fill_null(value=False)
        wrong = cells.join(permissions.customers, on="customer_id", how="left").filter(~is_theirs).height
        checks.append(found_none(suite, "address_is_the_customers", wrong, cells.height))
    return checks


def lists(evidence: Evidence, permissions: Permissions) -> list[Check]:
    """The re-count of all lists, exported or not: whose behaviour may be used, and who gets no list at all."""
    rows = evidence.recommendations
    individual = rows.filter(pl.col("source") != Source.POPULAR.value).select("customer_id")
    return [
        found_none(
            "recount/lists",
            "individual_only_where_allowed",
            _beyond(individual, permissions.personalised),
            individual.height,
        ),
        found_none(
            "recount/lists", "no_list_for_minors", _among(rows.select("customer_id"), permissions.minors), rows.height
        ),
    ]


def _addresses(suite: str, people: pl.DataFrame, permissions: Permissions, contact_channel: str) -> list[Check]:
    """Nobody at an address that another record objected to. One person, one message: no address is written to twice."""
    objections = objected(permissions, contact_channel)
    others = (
        matched(permissions, contact_channel)
        .join(people, on="customer_id", how="semi")
        .join(objections, on="customer_id", how="anti")
        .join(objections, on=["kind", "same"], how="semi")["customer_id"]
        .n_unique()
    )
    checks = [found_none(suite, "nobody_at_an_objecting_address", others, people.height)]
    if contact_channel in ADDRESSES:
        theirs = addressed(permissions, contact_channel).join(people, on="customer_id", how="semi")
        twice = theirs.height - theirs["same"].n_unique()
        checks.append(found_none(suite, "one_recipient_per_address", twice, people.height))
    return checks


def _suppressed(cells: pl.DataFrame, permissions: Permissions, contact_channel: str) -> int:
    """Recipients that a suppression names: by id, by what the shop knows of them, or by the address in the file."""
    known = permissions.customers.select("customer_id", "mailbox", "phone")
    people = [cells.select("customer_id").join(known, on="customer_id", how="left")]
    if "email" in cells.columns:
        theirs = cells.select("customer_id", normalised_email("email"))
        people.append(theirs.select("customer_id", mailbox=mailbox("email"), phone=pl.lit(None, pl.String)))
    return suppressed(permissions, pl.concat(people), contact_channel).height


def decided_once(suite: str, evidence: Evidence, permissions: Permissions, channel: Channel) -> Check:
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


def _among(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    """How many rows are among `those`, compared by the columns of `rows`."""
    return rows.join(those, on=rows.columns, how="semi").height
