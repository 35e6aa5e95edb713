"""What a tool's answer says about whether the tool has what was sent.

The one question that matters is whether a request may be made again. Before anything was sent, and after 429, it may:
the tool has nothing. After a timeout, a broken connection or a 5xx nobody knows, and the caller must not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx


class Fate(StrEnum):
    """What an answer, or none, says about the request."""

    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not accepted"
    """The tool has nothing of it and may be asked again later."""
    REFUSED = "refused"
    """The tool has nothing of it because of what is in it."""
    DENIED = "denied"
    """The tool has nothing of it, and nothing else will be taken either: key, address, account."""
    UNKNOWN = "unknown"


RECORDS = {400, 409, 413, 422}
"""Statuses that speak about the content of a request."""

GONE = {"status 404", "status 410"}


@dataclass(frozen=True)
class Answer:
    """`reason` is a status or the kind of failure; never what the tool wrote, which may quote addresses."""

    fate: Fate
    reason: str
    content: dict[str, Any] | None = None
    """The answer's JSON object; None when there is none or it cannot be read."""
    wait: float | None = None
    """Seconds that the tool asks to wait."""


def answer_of(response: httpx.Response) -> Answer:
    """What a response says."""
    status = response.status_code
    if 200 <= status < 300:
        fate = Fate.ACCEPTED
    elif status == 429:
        fate = Fate.NOT_ACCEPTED
    elif status in RECORDS:
        fate = Fate.REFUSED
    elif status == 408 or status >= 500:
        fate = Fate.UNKNOWN
    else:
        fate = Fate.DENIED
    try:
        content = json.loads(response.content) if response.content else None
    except ValueError:
        content = None
    return Answer(fate, f"status {status}", content if isinstance(content, dict) else None, _wait(response.headers))


def _wait(headers: httpx.Headers) -> float | None:
    """Seconds to wait. Moments are held against the answer's own `Date`: the tool's clock counts, not ours."""
    for name in ("Retry-After", "X-RateLimit-Retry-After"):
        if (text := headers.get(name, "")).strip().isdecimal():
            return float(text)
    try:
        now = parsedate_to_datetime(headers["Date"]).timestamp()
        if "Retry-After" in headers:
            return max(parsedate_to_datetime(headers["Retry-After"]).timestamp() - now, 0.0)
        return max(float(headers["X-RateLimit-Reset"]) - now, 0.0)
    except (KeyError, ValueError, OverflowError):
        return None


def denied_advice(answer: Answer) -> str:
    """What to look at when a tool takes nothing at all."""
    if answer.reason in {"status 401", "status 403"}:
        return "The tool does not take this key: look at the connection's password and at what the key may do."
    return "The tool does not take such requests: look at the connection's host and settings."


def object_in(content: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """An object inside an answer; an empty one where there is none."""
    found = (content or {}).get(name)
    return found if isinstance(found, dict) else {}


def objects_in(content: Mapping[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The objects of a list inside an answer; without any where there is none."""
    found = (content or {}).get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
