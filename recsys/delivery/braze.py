"""Braze's `/users/track`: attributes of people whom Braze knows, and never anybody's subscription.

An accepted request may name records that were not taken. Braze has no key that would make a repeated request harmless,
and nothing that tells afterwards what a request did; a request without an answer stays in doubt.
An invalid value inside a nested attribute drops all nested updates of its request, so a record with one is not sent.
Limits and shapes: Braze's documentation of `POST /users/track` and of its API errors; that an error names its record by
`input_array` and `index` is not in there, so an error without them is kept as one that is tied to nobody.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from recsys.delivery.answers import Answer
from recsys.delivery.api import Api, Clock, Pace, connect
from recsys.delivery.api_carrier import ApiCarrier
from recsys.delivery.audiences import Audience
from recsys.delivery.batches import Batch, Problem, Record, as_json
from recsys.delivery.credentials import Connection
from recsys.delivery.record_errors import NOBODY, Identifier
from recsys.delivery.tool_rules import Found, Taken
from recsys.errors import ConfigError

TRACK = "/users/track"
PACE = Pace(between=0.05)
"""20 requests a second, 1,000 records. The limits of newer contracts are by the hour and differ; Braze says 429."""
UPDATES, MOST_UPDATES = 50, 75
"""Records per request: of newer contracts, and of older ones."""
REQUEST_BYTES = 4_000_000

COLUMNS = {"EXTERNAL_ID": "external_id", "EMAIL": "email", "PHONE": "phone", "BRAZE_ID": "braze_id"}
"""Identifier columns of a Cloud Data Ingestion file and what the API calls them."""


class BrazeApi(ApiCarrier):
    """One audience on its way into attributes of Braze users."""

    suffix = ".jsonl"
    most_bytes = REQUEST_BYTES
    path = TRACK

    def __init__(
        self, audience: Audience, connection: Connection, clock: Clock | None = None, pace: Pace = PACE
    ) -> None:
        """`extra` of the connection: `updates` per request, and `update_existing_only`, true unless it says false."""
        self.lines_per_batch = self.most_records = _updates(connection)
        self._existing_only = connection.extra.get("update_existing_only", True) is not False
        super().__init__(audience, self.connected(connection, clock or Clock(), pace))

    @classmethod
    def connected(cls, connection: Connection, clock: Clock, pace: Pace = PACE) -> Api:
        _updates(connection)
        return connect(
            connection,
            default=None,
            scheme="Bearer",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            calls=(f"POST {TRACK}",),
            pace=pace,
            clock=clock,
        )

    def batch(self, name: str, lines: Sequence[Record], first: Record) -> Batch:
        column = next((column for column in COLUMNS if column in first), None)
        records, problems = [], {}
        for row, line in enumerate(lines):
            attributes = _payload(line)
            identifier = {COLUMNS[column]: line[column]} if column and line.get(column) else {}
            if problem := _unfit(attributes, identifier):
                problems[row] = problem
            records.append({**(attributes or {}), **identifier})
        return Batch(name, records, problems)

    def identifier(self, record: Record) -> Identifier:
        found = (
            (kind, record[kind]) for kind in ("external_id", "email", "phone") if isinstance(record.get(kind), str)
        )
        return next(found, NOBODY)

    def body(self, records: Sequence[Record]) -> bytes:
        return as_json({"attributes": [{**record, "_update_existing_only": self._existing_only} for record in records]})

    def refused(self, answer: Answer, records: Sequence[Record]) -> list[Found] | None:
        return [(row, problem) for row, problem in _said(answer, records) if row is not None]

    def accepted(self, answer: Answer, records: Sequence[Record]) -> Taken | None:
        if answer.content is None:
            return None
        processed = answer.content.get("attributes_processed")
        of = f"{processed} of {len(records)}" if isinstance(processed, int) else f"{len(records)} sent"
        message = "queued" if answer.content.get("message") == "queued" else "processed"
        return Taken(f"{of} {message}", tuple(_said(answer, records)))


def _updates(connection: Connection) -> int:
    updates = connection.extra.get("updates", UPDATES)
    if not isinstance(updates, int) or not 1 <= updates <= MOST_UPDATES:
        raise ConfigError(
            f"connection '{connection.name}': updates in extra is not a number from 1 to {MOST_UPDATES}; leave it "
            f"out for {UPDATES}, which every contract allows."
        )
    return updates


def _payload(line: Record) -> Record | None:
    payload = line.get("PAYLOAD")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except ValueError:
            return None
    return payload if isinstance(payload, dict) else None


def _unfit(attributes: Record | None, identifier: Record) -> Problem | None:
    """Why a record is not even sent."""
    if attributes is None:
        return Problem("no_payload", "PAYLOAD is not a JSON object")
    if not identifier:
        return Problem("no_identifier", "nothing in the column that the file's first row is known by")
    if others := sorted({*COLUMNS.values(), "user_alias"}.intersection(attributes) - {"email", "phone"}):
        return Problem("two_identifiers", ", ".join(others))
    nested = [name for name, value in attributes.items() if isinstance(value, dict | list) and _holds_null(value)]
    return Problem("null_in_nested", ", ".join(nested)) if nested else None


def _holds_null(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(each is None or _holds_null(each) for each in inner)


def _said(answer: Answer, records: Sequence[Record]) -> list[Found]:
    """The errors of an answer, each with the position of its record where Braze says so."""
    errors = (answer.content or {}).get("errors")
    found: list[Found] = []
    for error in errors if isinstance(errors, list) else []:
        said = error if isinstance(error, dict) else {"type": error}
        row = said.get("index") if said.get("input_array") == "attributes" else None
        row = row if isinstance(row, int) and 0 <= row < len(records) else None
        about = records if row is None else [records[row]]
        found.append((row, Problem("refused", _without_values(str(said.get("type") or ""), about))))
    return found


def _without_values(text: str, records: Sequence[Record]) -> str:
    """What Braze says, without anything that was sent to it, addresses and longer numbers."""
    for value in sorted({text for record in records for text in _texts(record)}, key=len, reverse=True):
        word = re.escape(value)
        text = re.sub(word if len(value) > 2 else rf"(?<!\w){word}(?!\w)", "…", text)
    return re.sub(r"\S*@\S*|\+?\d{4,}", "…", text)[:200]


def _texts(value: Any) -> Iterator[str]:
    """Every value inside a record."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif isinstance(value, str | int | float) and str(value):
        yield str(value)
