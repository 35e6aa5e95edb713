"""What one customer allowed, and what stands against it: the statements themselves, as of the night's end."""

from datetime import datetime
from typing import Any

import duckdb

from recsys.addresses import define_normal_forms
from recsys.database import small_frame
from recsys.night import Night
from recsys.report.words import contact_words
from recsys.vocabulary import EVERY_CHANNEL
from recsys.why.personalisation import moment, objected_channels, tell_pause, tell_personalisation

SUPPRESSIONS_TOLD = 3
ERASED = "erased"

SUPPRESSION_WORDS: dict[str, str] = {
    "unsubscribe": "they unsubscribed",
    "hard_bounce": "an earlier message bounced",
    "complaint": "they complained about an earlier message",
    "do_not_contact": "they asked not to be contacted",
    "erased": "they asked to be erased",
}

_OTHER_IDS = """
    SELECT visitor_id FROM warehouse.intermediate.int_visitors__resolved WHERE customer_id = $customer
    ORDER BY visitor_id
"""

_CONSENT = """
    SELECT customer_id = $customer AS is_own, status, occurred_at, valid_until, source, count(*) OVER () AS statements,
        count(*) OVER (PARTITION BY occurred_at) AS at_that_moment
    FROM read_parquet($consents)
    WHERE (customer_id = $customer OR (status <> 'granted' AND list_contains($others::VARCHAR[], customer_id)))
        AND purpose = 'marketing' AND channel = $contact_channel
    ORDER BY occurred_at DESC, CASE status WHEN 'withdrawn' THEN 1 WHEN 'denied' THEN 2 ELSE 3 END,
        valid_until NULLS LAST, is_own DESC, source NULLS LAST
    LIMIT 1
"""

_SUPPRESSIONS = """
    WITH customer AS (
        SELECT customer_id, mailbox(normalised_email(email)) AS mailbox, normalised_phone(phone) AS phone
        FROM read_parquet($customers) WHERE customer_id = $customer
    ), said AS (
        SELECT customer_id, email, phone, channel, reason, occurred_at, false AS is_reaction
        FROM read_parquet($suppressions)
        UNION ALL
        SELECT customer_id, NULL, NULL, channel,
            CASE event_type WHEN 'bounce' THEN 'hard_bounce' ELSE event_type END, occurred_at, true
        FROM read_parquet($engagements) JOIN read_parquet($contacts) USING (message_id)
        WHERE event_type IN ('unsubscribe', 'complaint', 'bounce')
    ), matched AS (
        SELECT said.channel, said.reason, said.occurred_at,
            NOT is_reaction AND coalesce(said.customer_id = customer.customer_id, false) AS by_id,
            NOT is_reaction AND coalesce(list_contains($others::VARCHAR[], said.customer_id), false) AS by_other_id,
            coalesce(mailbox(normalised_email(said.email)) = customer.mailbox, false) AS by_email,
            coalesce(normalised_phone(said.phone) = customer.phone, false) AS by_phone,
            is_reaction AND list_contains(
                list_append($others::VARCHAR[], customer.customer_id), said.customer_id
            ) AS by_message
        FROM said CROSS JOIN customer
    )
    SELECT channel, reason, occurred_at, bool_or(by_id) AS by_id, bool_or(by_other_id) AS by_other_id,
        bool_or(by_email) AS by_email, bool_or(by_phone) AS by_phone, bool_or(by_message) AS by_message
    FROM matched WHERE by_id OR by_other_id OR by_email OR by_phone OR by_message
    GROUP BY channel, reason, occurred_at
"""

_REMEMBERED = """
    UNION ALL
    SELECT channel, reason, occurred_at, false, false, false, false, false FROM read_parquet($remembered) AS remembered
    WHERE customer_id = $customer AND NOT EXISTS (
        SELECT 1 FROM matched WHERE (by_id OR by_other_id OR by_email OR by_phone OR by_message)
            AND matched.reason = remembered.reason AND matched.occurred_at = remembered.occurred_at
    )
"""


def tell_permission(
    con: duckdb.DuckDBPyConnection, night: Night, customer: str, contact_channels: tuple[str, ...]
) -> list[str]:
    """Per contact channel: the statement about marketing that counts, and every suppression that matches.

    Then an objection of another customer to the same address, a pause, and whether what they do may be used.
    What was said under other ids of theirs is told once the stage features has found those. Addresses and ids are
    compared and never shown.
    """
    others = _other_ids(con, night, customer)
    define_normal_forms(con)
    given: dict[str, object] = {"customer": customer, "others": others}
    for table in ("customers", "suppressions", "engagements", "contacts"):
        given[table] = str(night.raw / f"{table}.parquet")
    query = _SUPPRESSIONS
    remembered = night.raw / "remembered_suppressions.parquet"
    if remembered.is_file():
        query += _REMEMBERED
        given["remembered"] = str(remembered)
    order = "ORDER BY occurred_at, reason, channel"
    suppressions = small_frame(con, f"{query} {order}", given).rows(named=True)
    objected = objected_channels(con, night, customer)
    lines = []
    for contact_channel in contact_channels:
        consents = small_frame(
            con,
            _CONSENT,
            {
                "customer": customer,
                "others": others,
                "contact_channel": contact_channel,
                "consents": str(night.raw / "consents.parquet"),
            },
        ).rows(named=True)
        name = contact_words(contact_channel).capitalize()
        against = [row for row in suppressions if is_for(row, contact_channel)]
        said = [_said(consents[0], night.end) if consents else _SILENCE, *_held_against(against)]
        if contact_channel in objected and not against and not _is_refusal(consents):
            said.append(_OBJECTED.format(ADDRESS_WORDS.get(contact_channel, "address")))
        lines += [f"{name}: {sentence}" for sentence in said]
    everywhere = next((_suppression(row) for row in suppressions if _is_everywhere(row)), None)
    about_use = tell_personalisation(con, night, customer, others, everywhere and everywhere.removesuffix("."))
    return [*lines, *tell_pause(con, night, customer, others), about_use]


def _other_ids(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> list[str]:
    """The ids that lead to the customer; none before the stage features is done."""
    if not (night.features / "customers.parquet").is_file():
        return []
    return small_frame(con, _OTHER_IDS, {"customer": customer}).get_column("visitor_id").to_list()


_SILENCE = "they never said anything about marketing, and unknown counts as no."
_OBJECTED = "another customer with the same {} objected to marketing there, and that holds for the address."
ADDRESS_WORDS: dict[str, str] = {
    "email": "e-mail address",
    "sms": "phone number",
    "ads": "e-mail address or phone number",
}
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
    if not consent["is_own"]:
        which += ", said under another id of theirs"
    return f"{said} ({which}; {source})."


def _held_against(suppressions: list[dict[str, Any]]) -> list[str]:
    """The suppressions that match, earliest first; of many, the first few."""
    if not suppressions:
        return [_NOT_SUPPRESSED]
    told = [_suppression(row) for row in suppressions[:SUPPRESSIONS_TOLD]]
    more = len(suppressions) - len(told)
    return [*told, f"and {more:,} later suppressions."] if more else told


def _is_refusal(consents: list[dict[str, Any]]) -> bool:
    return bool(consents) and consents[0]["status"] != "granted"


def _is_everywhere(suppression: dict[str, Any]) -> bool:
    return bool(suppression["channel"] == EVERY_CHANNEL or suppression["reason"] == ERASED)


def is_for(suppression: dict[str, Any], contact_channel: str) -> bool:
    """Whether a suppression holds for a contact channel; an erasure does for every one."""
    return _is_everywhere(suppression) or suppression["channel"] == contact_channel


def _suppression(row: dict[str, Any]) -> str:
    ways = {
        "by_id": "customer id",
        "by_other_id": "another id of theirs",
        "by_email": "e-mail address",
        "by_phone": "phone number",
        "by_message": "a message sent to them",
    }
    matched = " and ".join(words for way, words in ways.items() if row[way])
    scope = ", for every contact channel" if _is_everywhere(row) else ""
    reason = SUPPRESSION_WORDS.get(row["reason"], row["reason"])
    how = f"matched by {matched}" if matched else "remembered from an earlier night or an erasure"
    return f"suppressed since {moment(row['occurred_at'])}{scope}: {reason} ({how})."
