"""The independent re-count of the reasons: everybody who is held back for want of permission, and nobody else.

The order of the reasons, and what each means, once more from raw/; no SQL is shared with the dbt project.
"""

from datetime import datetime

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import found_none
from expectations.permission import (
    ADDRESSES,
    MATCHED_BY,
    Permissions,
    addressed,
    erased,
    matched,
    newest_statements,
    objected,
    suppressed,
)
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.vocabulary import Status

ABOUT_PERMISSION = (
    Status.ERASED,
    Status.SUPPRESSED,
    Status.NO_CONSENT,
    Status.CONSENT_EXPIRED,
    Status.PAUSED,
    Status.MINOR,
    Status.INVALID_ADDRESS,
    Status.DUPLICATE_ADDRESS,
)
"""Statuses that follow from permissions and addresses alone, in the order in which they are asked."""

LOCAL = r"^[a-z0-9_][a-z0-9!#$%&'*+/=?^_`{|}~-]*$"
ATOM = r"^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$"
LABEL = r"^[a-z0-9]$|^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$"
LAST_LABEL = r"^[a-z]{2,63}$|^xn--[a-z0-9-]{0,58}[a-z0-9]$"


def check(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """One check: the decisions of a channel hold back for these reasons whom the raw tables hold back for them."""
    expected = hindrances(permissions, channel.contact_channel.value, evidence.night.end)
    decided = evidence.tables["fct_decisions"].filter(pl.col("channel") == channel.name).select("customer_id", "status")
    about = [status.value for status in ABOUT_PERMISSION]
    both = expected.join(decided, on="customer_id", how="full", coalesce=True).with_columns(
        decided=pl.when(pl.col("status").is_in(about)).then("status")
    )
    differing = both.filter(pl.col("decided").ne_missing(pl.col("hindrance")) | pl.col("status").is_null())
    return [
        found_none(
            f"recount/{channel.name}", "held_back_for_the_first_reason", differing.height, both.height, noun="decisions"
        )
    ]


def hindrances(permissions: Permissions, contact_channel: str, end: datetime) -> pl.DataFrame:
    """customer_id and hindrance of every customer: the first of `ABOUT_PERMISSION` that holds, null for none."""
    said = newest_statements(permissions.consents, contact_channel)
    judged = (
        permissions.customers.select("customer_id")
        .join(said, on="customer_id", how="left")
        .join(_addresses(permissions, contact_channel), on="customer_id", how="left")
        .join(permissions.updated, on="customer_id", how="left")
        .with_columns(
            _among(erased(permissions), "is_erased"),
            _among(suppressed(permissions, permissions.customers, contact_channel), "is_suppressed"),
            _among(permissions.paused, "is_paused"),
            _among(permissions.minors, "is_minor"),
            is_granted=pl.col("status").eq_missing("granted"),
            is_over=(pl.col("valid_until") <= end).fill_null(value=False),
        )
        .with_columns(
            hindrance=pl.when("is_erased")
            .then(pl.lit(Status.ERASED.value))
            .when("is_suppressed")
            .then(pl.lit(Status.SUPPRESSED.value))
            .when(~pl.col("is_granted") | pl.col("is_objected_to").fill_null(value=False))
            .then(pl.lit(Status.NO_CONSENT.value))
            .when("is_over")
            .then(pl.lit(Status.CONSENT_EXPIRED.value))
            .when("is_paused")
            .then(pl.lit(Status.PAUSED.value))
            .when("is_minor")
            .then(pl.lit(Status.MINOR.value))
            .when(~pl.col("is_usable").fill_null(value=contact_channel not in MATCHED_BY))
            .then(pl.lit(Status.INVALID_ADDRESS.value))
        )
    )
    first = (
        judged.filter(pl.col("hindrance").is_null())
        .join(_claimed(permissions, contact_channel), on="customer_id", how="left")
        .sort("updated_at", "customer_id", descending=[True, False], nulls_last=True)
        .filter(pl.col("same").is_null() | pl.col("same").is_first_distinct())
    )
    taken = pl.when(pl.col("hindrance").is_null() & ~_among(first, "is_first")).then(
        pl.lit(Status.DUPLICATE_ADDRESS.value)
    )
    return judged.select("customer_id", hindrance=pl.coalesce("hindrance", taken))


def _addresses(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id, is_usable and is_objected_to of every customer whom the contact channel finds by an address.

    Usable is who has one usable address, objected to who has one address that anybody objects to.
    """
    objections = objected(permissions, contact_channel).select("kind", "same").unique()
    usable = pl.when(pl.col("kind") == "email").then(is_email("address")).otherwise(is_phone("address"))
    return (
        matched(permissions, contact_channel)
        .join(objections.with_columns(is_objected_to=True), on=["kind", "same"], how="left")
        .group_by("customer_id")
        .agg(usable.any().alias("is_usable"), pl.col("is_objected_to").fill_null(value=False).any())
    )


def _claimed(permissions: Permissions, contact_channel: str) -> pl.DataFrame:
    """customer_id and `same`, the address that only one customer may be written to at; audiences of ads have none."""
    if contact_channel not in ADDRESSES:
        return pl.DataFrame(schema={"customer_id": pl.String, "same": pl.String})
    return addressed(permissions, contact_channel).select("customer_id", "same")


def is_email(column: str) -> pl.Expr:
    """What counts as an e-mail address, of a normalised one: dotted names of the usual characters around one @."""
    text = pl.col(column)
    local, domain = text.str.split("@").list.get(0), text.str.split("@").list.get(1, null_on_oob=True)
    labels = domain.str.split(".")
    return (
        (text.str.len_chars() <= 254)
        & (text.str.count_matches("@", literal=True) == 1)
        & (local.str.len_chars() <= 64)
        & local.str.split(".").list.get(0).str.contains(LOCAL)
        & local.str.split(".").list.eval(pl.element().str.contains(ATOM)).list.all()
        & (labels.list.len() > 1)
        & labels.list.eval(pl.element().str.contains(LABEL)).list.all()
        & labels.list.get(-1).str.contains(LAST_LABEL)
    ).fill_null(value=False)


def is_phone(column: str) -> pl.Expr:
    """E.164, of a normalised number."""
    return pl.col(column).str.contains(r"^\+[1-9][0-9]{6,14}$").fill_null(value=False)


def _among(people: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col("customer_id").is_in(people["customer_id"].implode()).alias(name)
