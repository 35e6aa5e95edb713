"""What one customer allowed, and what stands against it: the statements themselves, as of the night's end."""

from datetime import datetime
from typing import Any

import duckdb

from recsys.addresses import define_normal_forms
from recsys.database import small_frame
from recsys.night import Night
from recsys.report.words import contact_words
from recsys.vocabulary import EVERY_CHANNEL

SUPPRESSIONS_TOLD = 3
ERASED = "erased"

SUPPRESSION_WORDS: dict[str, str] = {
    "unsubscribe": "they unsubscribed",
    "hard_bounce": "an earlier message bounced",
    "complaint": "they complained about an earlier message",
    "do_not_contact": "they asked not to be contacted",
    "erased": "they asked to be erased",
}

_CONSENT = """
    SELECT status, occurred_at, valid_until, source, count(*) OVER () AS statements,
        count(*) OVER (PARTITION BY occurred_at) AS at_that_moment
    FROM read_parquet($consents)
    WHERE customer_id = $customer AND purpose = 'marketing' AND channel = $contact_channel
    ORDER BY occurred_at DESC, CASE status WHEN 'withdrawn' THEN 1 WHEN 'denied' THEN 2 ELSE 3 END,
        valid_until NULLS LAST, source NULLS LAST
    LIMIT 1
"""

_SUPPRESSIONS = """
    WITH customer AS (
        SELECT customer_id, normalised_email(email) AS email, normalised_phone(phone) AS phone
        FROM read_parquet($customers) WHERE customer_id = $customer
    ), matched AS (
        SELECT said.channel, said.reason, said.occurred_at,
            coalesce(said.customer_id = customer.customer_id, false) AS by_id,
            coalesce(normalised_email(said.email) = customer.email, false) AS by_email,
            coalesce(normalised_phone(said.phone) = customer.phone, false) AS by_phone
        FROM read_parquet($suppressions) AS said CROSS JOIN customer
    )
    SELECT channel, reason, occurred_at, bool_or(by_id) AS by_id, bool_or(by_email) AS by_email,
        bool_or(by_phone) AS by_phone
    FROM matched WHERE by_id OR by_email OR by_phone
    GROUP BY channel, reason, occurred_at
"""

_REMEMBERED = """
    UNION ALL
    SELECT channel, reason, occurred_at, false, false, false FROM read_parquet($remembered) AS remembered
    WHERE customer_id = $customer AND NOT EXISTS (
        SELECT 1 FROM matched WHERE (by_id OR by_email OR by_phone)
            AND matched.reason = remembered.reason AND matched.occurred_at = remembered.occurred_at
    )
"""


def tell_permission(
    con: duckdb.DuckDBPyConnection, night: Night, customer: str, contact_channels: tuple[str, ...]
) -> list[str]:
    """Per contact channel: the statement about marketing that counts, and every suppression that matches.

    Addresses are compared and never shown.
    """
    define_normal_forms(con)
    given: dict[str, object] = {
        "customer": customer,
        "customers": str(night.raw / "customers.parquet"),
        "suppressions": str(night.raw / "suppressions.parquet"),
    }
    query = _SUPPRESSIONS
    remembered = night.raw / "remembered_suppressions.parquet"
    if remembered.is_file():
        query += _REMEMBERED
        given["remembered"] = str(remembered)
    order = "ORDER BY occurred_at, reason, channel"
    suppressions = small_frame(con, f"{query} {order}", given).rows(named=True)
    lines = []
    for contact_channel in contact_channels:
        consents = small_frame(
            con,
            _CONSENT,
            {
                "customer": customer,
                "contact_channel": contact_channel,
                "consents": str(night.raw / "consents.parquet"),
            },
        ).rows(named=True)
        name = contact_words(contact_channel).capitalize()
        against = [row for row in suppressions if is_for(row, contact_channel)]
        said = [_said(consents[0], night.end) if consents else _SILENCE, *_held_against(against)]
        lines += [f"{name}: {sentence}" for sentence in said]
    return lines


_SILENCE = "they never said anything about marketing, and unknown counts as no."
_NOT_SUPPRESSED = "no suppression matches their customer id, e-mail address or phone number."


def _said(consent: dict[str, Any], night_end: datetime) -> str:
    """The statement that counts, and what else there is."""
    since, until = consent["occurred_at"], consent["valid_until"]
    match consent["status"]:
        case "granted" if not isinstance(until, datetime):
            said = f"they agreed to marketing on {moment(since)}, without an end"
        case "granted":
            is_over = ", which is over" if until <= night_end else ""
            said = f"they agreed to marketing on {moment(since)}, until {moment(until)}{is_over}"
        case "denied":
            said = f"they said no to marketing on {moment(since)}"
        case _:
            said = f"they took their consent to marketing back on {moment(since)}"
    source = f"from “{consent['source']}”" if consent["source"] else "its source was not recorded"
    which = (
        "the only statement" if consent["statements"] == 1 else f"the newest of {consent['statements']:,} statements"
    )
    if consent["at_that_moment"] > 1:
        which += ", and the strictest of those made at that moment"
    return f"{said} ({which}; {source})."


def _held_against(suppressions: list[dict[str, Any]]) -> list[str]:
    """The suppressions that match, earliest first; of many, the first few."""
    if not suppressions:
        return [_NOT_SUPPRESSED]
    told = [_suppression(row) for row in suppressions[:SUPPRESSIONS_TOLD]]
    more = len(suppressions) - len(told)
    return [*told, f"and {more:,} later suppressions."] if more else told


def is_for(suppression: dict[str, Any], contact_channel: str) -> bool:
    """Whether a suppression holds for a contact channel; an erasure does for every one."""
    return suppression["reason"] == ERASED or suppression["channel"] in {EVERY_CHANNEL, contact_channel}


def _suppression(row: dict[str, Any]) -> str:
    ways = {"by_id": "customer id", "by_email": "e-mail address", "by_phone": "phone number"}
    matched = " and ".join(words for way, words in ways.items() if row[way])
    scope = ", for every contact channel" if row["channel"] == EVERY_CHANNEL or row["reason"] == ERASED else ""
    reason = SUPPRESSION_WORDS.get(row["reason"], row["reason"])
    how = f"matched by {matched}" if matched else "remembered from an earlier night or an erasure"
    return f"suppressed since {moment(row['occurred_at'])}{scope}: {reason} ({how})."


def moment(value: object) -> str:
    """A moment to the minute, as in 2026-03-31 09:30."""
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else "an unknown moment"
