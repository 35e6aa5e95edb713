"""Whether what a customer does may be used, with the statement that counts, and until when they asked for a pause."""

from datetime import datetime
from typing import Any

import duckdb

from recsys.database import small_frame
from recsys.night import Night
from recsys.report.words import contact_words

_STATEMENTS = """
    SELECT purpose, channel, status, occurred_at, valid_until, source, customer_id = $customer AS is_own
    FROM read_parquet($consents)
    WHERE customer_id = $customer OR (status <> 'granted' AND list_contains($others::VARCHAR[], customer_id))
    QUALIFY row_number() OVER (
        PARTITION BY purpose, channel
        ORDER BY occurred_at DESC, CASE status WHEN 'withdrawn' THEN 1 WHEN 'denied' THEN 2 ELSE 3 END,
            valid_until NULLS LAST, is_own DESC, source NULLS LAST
    ) = 1
    ORDER BY occurred_at DESC, channel
"""

_YOUNGEST = """
    SELECT min_age, coalesce(make_date((birth_year + min_age)::BIGINT, 12, 31) > run_date, false) AS is_minor
    FROM read_parquet($customers), read_parquet($settings) WHERE customer_id = $customer
"""

_PAUSE = """
    WITH requests AS (
        SELECT trim(value) AS day, occurred_at FROM read_parquet($preferences)
        WHERE choice = 'pause_until' AND (customer_id = $customer OR list_contains($others::VARCHAR[], customer_id))
        QUALIFY rank() OVER (ORDER BY occurred_at DESC) = 1
    ), dated AS (
        SELECT occurred_at,
            CASE WHEN regexp_full_match(day, '[0-9]{4}-[0-9]{2}-[0-9]{2}') THEN try_cast(day AS DATE) END AS until
        FROM requests
    )
    SELECT occurred_at, CASE WHEN bool_and(until IS NOT NULL) THEN max(until) END AS until FROM dated GROUP BY ALL
"""

_STANDING = "SELECT is_minor, may_personalise FROM warehouse.core.dim_customers WHERE customer_id = $customer"

_OBJECTED = """
    SELECT DISTINCT contact_channel FROM warehouse.intermediate.int_customers__matched AS matched
    JOIN warehouse.intermediate.int_addresses__objected AS objected USING (contact_channel, address_kind, address)
    WHERE customer_id = $customer
"""

NOT_USED = "Not used, since they do not allow personalisation: what they bought and looked at is in no figure."


def too_young(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> int | None:
    """The age that they may not have reached yet, if so; nothing about them is used then."""
    given: dict[str, object] = {
        "customer": customer,
        "customers": str(night.raw / "customers.parquet"),
        "settings": str(night.raw / "settings.parquet"),
    }
    min_age, is_minor = small_frame(con, _YOUNGEST, given).row(0)
    return int(min_age) if is_minor else None


def is_used(con: duckdb.DuckDBPyConnection, customer: str) -> bool:
    """Whether what they did was used in this night; needs the stage features."""
    rows = small_frame(con, _STANDING, {"customer": customer}).rows()
    return bool(rows and rows[0][1])


def objected_channels(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> set[str]:
    """Contact channels at whose address somebody objected, they or another; none before the stage features."""
    if not (night.features / "customers.parquet").is_file():
        return set()
    return set(small_frame(con, _OBJECTED, {"customer": customer}).get_column("contact_channel"))


def tell_personalisation(
    con: duckdb.DuckDBPyConnection, night: Night, customer: str, others: list[str], everywhere: str | None
) -> str:
    """One sentence: used or not, and the statement that decides it.

    `others`: other ids of the customer, whose refusals count. `everywhere`: what suppresses them for every channel.
    """
    age = too_young(con, night, customer)
    if age is not None:
        return f"Personalisation: {minor_words(age)}"
    given: dict[str, object] = {
        "customer": customer,
        "others": others,
        "consents": str(night.raw / "consents.parquet"),
    }
    statements = small_frame(con, _STATEMENTS, given).rows(named=True)
    hindrance = _hindrance(statements, night.end) or everywhere or _refused(statements, night.end)
    if hindrance:
        return (
            f"Personalisation: not allowed ({hindrance}), so what they bought and looked at is not used, and their "
            "list is the popular one."
        )
    agreed = next(it for it in _about(statements, "personalisation") if _holds(it, night.end))
    return f"Personalisation: allowed ({_statement(agreed)}), so what they bought and looked at is used."


def tell_pause(con: duckdb.DuckDBPyConnection, night: Night, customer: str, others: list[str]) -> list[str]:
    """The newest request for a pause, whether or not it is over; nothing without one."""
    given: dict[str, object] = {
        "customer": customer,
        "others": others,
        "preferences": str(night.raw / "preferences.parquet"),
    }
    lines = []
    for asked, until in small_frame(con, _PAUSE, given).rows():
        request = f"Pause: asked for on {moment(asked)}"
        if until is None:
            lines.append(f"{request}; until when cannot be read, so it holds until they say something else.")
        elif until > night.run_date:
            lines.append(f"{request}, until {until}: nothing is sent to them before that.")
        else:
            lines.append(f"{request}, until {until}, which is over.")
    return lines


def minor_words(age: int) -> str:
    """Why somebody who may be younger than that has no list."""
    return f"They may be younger than {age}, so no list is made and nothing about them is used."


def moment(value: object) -> str:
    """A moment to the minute, as in 2026-03-31 09:30."""
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else "an unknown moment"


def _about(statements: list[dict[str, Any]], purpose: str) -> list[dict[str, Any]]:
    return [it for it in statements if it["purpose"] == purpose]


def _holds(statement: dict[str, Any], end: datetime) -> bool:
    until = statement["valid_until"]
    return bool(statement["status"] == "granted" and (until is None or until > end))


def _hindrance(statements: list[dict[str, Any]], end: datetime) -> str | None:
    """What they said about personalisation itself, where it is no consent that holds."""
    about = _about(statements, "personalisation")
    refusals = [it for it in about if it["status"] != "granted"]
    if refusals:
        return _statement(refusals[0])
    if any(_holds(it, end) for it in about):
        return None
    if about:
        return f"{_statement(about[0])}, which is over"
    return "they never said anything about it, and unknown counts as no"


def _refused(statements: list[dict[str, Any]], end: datetime) -> str | None:
    """A refusal of marketing counts, too, where they allow it on no contact channel."""
    about = _about(statements, "marketing")
    refusals = [it for it in about if it["status"] != "granted"]
    if not refusals or any(_holds(it, end) for it in about):
        return None
    return f"they allow marketing nowhere: {_statement(refusals[0])}"


def _statement(statement: dict[str, Any]) -> str:
    status = {"granted": "agreed", "denied": "denied", "withdrawn": "withdrawn"}[statement["status"]]
    until = statement["valid_until"]
    ends = f", until {moment(until)}" if status == "agreed" and until is not None else ""
    source = f", from “{statement['source']}”" if statement["source"] else ""
    whose = "" if statement["is_own"] else ", under another id of theirs"
    return (
        f"{status} on {moment(statement['occurred_at'])} for {contact_words(statement['channel'])}{ends}{source}{whose}"
    )
