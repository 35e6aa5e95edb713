"""Who may be contacted: the rules of docs/decisions/permission.md once more, with dicts and loops and nothing else.

Written from the rules and not from the SQL, so that the two can be compared. Rows are dicts by contract column.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

CHANNELS = ("email", "sms", "push", "post", "ads")
FIELD_OF = {"email": "email", "sms": "phone"}
FIELDS_OF = {"email": ["email"], "sms": ["phone"], "push": [], "post": [], "ads": ["email", "phone"]}
STRICTNESS = ("withdrawn", "denied", "granted")
REASON_OF = {"unsubscribe": "unsubscribe", "complaint": "complaint", "bounce": "hard_bounce"}
FARTHEST = 100
Row = Mapping[str, Any]


@cache
def is_invisible(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZC"


def plain_email(text: str | None) -> str | None:
    text = text or ""
    while text and is_invisible(text[0]):
        text = text[1:]
    while text and is_invisible(text[-1]):
        text = text[:-1]
    return text.lower() or None


def plain_phone(text: str | None) -> str | None:
    seen = "".join(c for c in text or "" if not is_invisible(c) and c not in "./-")
    before, zero, after = seen.partition("(0)")
    code = before.strip("()")
    for prefix in ("+", "00"):
        digits = code.removeprefix(prefix).strip("()")
        if zero and code.startswith(prefix) and re.fullmatch("[1-9][0-9]{0,2}", digits):
            seen = before + after
    kept = seen.replace("(", "").replace(")", "")
    return ("+" + kept[2:] if kept.startswith("00") else kept) or None


def mailbox(text: str | None) -> str | None:
    """Where a message arrives: Gmail, also called googlemail.com, sees no dots before the @ and nothing from a + on."""
    seen = "".join(c for c in plain_email(text) or "" if not is_invisible(c))
    local, _, domain = seen.partition("@")
    if domain in {"gmail.com", "googlemail.com"}:
        owner = local.split("+")[0].replace(".", "")
        return f"{owner}@gmail.com" if owner else seen
    return seen or None


PLAIN = {"email": plain_email, "phone": plain_phone}
SAME = {"email": mailbox, "phone": plain_phone}


def is_usable(field: str, address: str | None) -> bool:
    """An e-mail address with one @ between something and a dotted name, or a phone number in E.164."""
    if address is None:
        return False
    if field == "phone":
        return address[0] == "+" and address[1:].isdecimal() and address[1] != "0" and 7 <= len(address) - 1 <= 15
    local, at, domain = address.partition("@")
    labels = domain.split(".")
    return (
        bool(local and at)
        and "@" not in domain
        and " " not in address
        and len(labels) > 1
        and all(label.replace("-", "").isalnum() for label in labels)
    )


def owners(customers: Iterable[str], sightings: Iterable[tuple[str | None, str | None, datetime]]) -> dict[str, str]:
    """Every id that leads to a known customer, with that customer; customers lead to themselves.

    An id goes to the customer it reaches over the fewest links through unknown ids; of several the link seen last,
    then the smaller customer id, decides.
    """
    last_seen: dict[str, dict[str, datetime]] = defaultdict(dict)
    for one, other, at in sightings:
        if one and other and one != other:
            for here, there in ((one, other), (other, one)):
                last_seen[here][there] = max(at, last_seen[here].get(there, at))
    found = {name: name for name in customers}
    newest = set(found)
    for _ in range(FARTHEST):
        reached: dict[str, str] = {}
        for stranger in {there for here in newest for there in last_seen.get(here, ())} - found.keys():
            ways = [(at, found[there]) for there, at in last_seen[stranger].items() if there in newest]
            latest = max(at for at, _ in ways)
            reached[stranger] = min(name for at, name in ways if at == latest)
        if not reached:
            break
        found |= reached
        newest = set(reached)
    return found


class Oracle:
    """What may be done with the people of one night.

    Statements at or after its end were not heard, but for those that say no.
    """

    def __init__(
        self,
        customers: Iterable[Row],
        consents: Iterable[Row],
        suppressions: Iterable[Row],
        preferences: Iterable[Row],
        *,
        run_date: date,
        end: datetime,
        min_age: int,
        identities: Iterable[Row] = (),
        web_events: Iterable[Row] = (),
        order_lines: Iterable[Row] = (),
        contacts: Iterable[Row] = (),
        engagements: Iterable[Row] = (),
    ) -> None:
        self.customers = {row["customer_id"]: row for row in customers}
        self.run_date, self.end, self.min_age = run_date, end, min_age
        moments = ((identities, "seen_at"), (web_events, "occurred_at"), (order_lines, "ordered_at"))
        sightings = [
            (row.get("visitor_id"), row.get("customer_id"), row[moment]) for rows, moment in moments for row in rows
        ]
        self.owner = owners(self.customers, (seen for seen in sightings if seen[2] < end))
        self.said: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in consents:
            who = row["customer_id"]
            if row["status"] != "granted":
                self.said[self.owner.get(who, who), row["purpose"], row["channel"]].append(row)
            elif row["occurred_at"] < end:
                self.said[who, row["purpose"], row["channel"]].append(row)
        self.pauses: dict[str, list[Row]] = defaultdict(list)
        for row in preferences:
            if row["occurred_at"] < end and row["choice"] == "pause_until":
                self.pauses[self.owner.get(row["customer_id"], row["customer_id"])].append(row)
        self.barred: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        self.erased: set[tuple[str, str | None]] = set()
        self.unmatched = 0
        known = {key for row in self.customers.values() for key in self._keys(row)}
        for row in suppressions:
            keys = self._keys(row)
            for key in keys:
                self.barred[key].add("all" if row["reason"] == "erased" else row["channel"])
                if row["reason"] == "erased":
                    self.erased.add(key)
            self.unmatched += known.isdisjoint(keys)
        sent = {row["message_id"]: row for row in contacts if row["sent_at"] < end}
        self.unknown_messages = 0
        for row in engagements:
            message = sent.get(row["message_id"])
            if row["event_type"] not in REASON_OF:
                continue
            if message is None:
                self.unknown_messages += 1
            else:
                self.barred[self._id(message["customer_id"])].add(message["channel"])
        self.objections: set[tuple[str, str, str]] = set()
        for name in self.customers:
            for channel in CHANNELS:
                statement = self.current(name, "marketing", channel)
                refused = statement is not None and statement["status"] != "granted"
                if refused or self.is_suppressed(name, channel):
                    for field, address in self.found_by(name, channel):
                        self.objections.add((channel, field, str(SAME[field](address))))

    def found_by(self, name: str, channel: str) -> list[tuple[str, str]]:
        """The addresses by which a contact channel finds somebody, with the field each is in."""
        found = []
        for field in FIELDS_OF[channel]:
            address = PLAIN[field](self.customers[name][field])
            if address is not None:
                found.append((field, address))
        return found

    def _id(self, who: str | None) -> tuple[str, str | None]:
        return ("id", self.owner.get(who, who) if who is not None else None)

    def _keys(self, row: Row) -> list[tuple[str, str | None]]:
        keys = [
            self._id(row.get("customer_id")),
            ("email", mailbox(row.get("email"))),
            ("phone", plain_phone(row.get("phone"))),
        ]
        return [key for key in keys if key[1] is not None]

    def current(self, name: str, purpose: str, channel: str) -> Row | None:
        """The newest statement; of equally new ones the strictest, then the one that ends first."""
        statements = self.said.get((name, purpose, channel))
        if not statements:
            return None
        latest = max(row["occurred_at"] for row in statements)
        newest = [row for row in statements if row["occurred_at"] == latest]
        strictest = min(newest, key=lambda row: STRICTNESS.index(row["status"]))["status"]
        same = [row for row in newest if row["status"] == strictest]
        return min(same, key=lambda row: (row["valid_until"] is None, row["valid_until"]))

    def is_over(self, statement: Row) -> bool:
        return statement["valid_until"] is not None and statement["valid_until"] <= self.end

    def is_suppressed(self, name: str, channel: str) -> bool:
        keys = self._keys(self.customers[name])
        return any(to in {"all", channel} for key in keys for to in self.barred[key])

    def is_paused(self, name: str) -> bool:
        requests = self.pauses[name]
        latest = max((row["occurred_at"] for row in requests), default=None)
        for row in requests:
            if row["occurred_at"] == latest:
                text = (row["value"] or "").strip(" ")
                try:
                    day = date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
                except ValueError:
                    day = None
                if day is None or day > self.run_date:
                    return True
        return False

    def is_minor(self, name: str) -> bool:
        year = self.customers[name]["birth_year"]
        return year is not None and date(year + self.min_age, 12, 31) > self.run_date

    def hindrance(self, name: str, channel: str) -> str | None:
        """The first reason not to contact somebody over a contact channel, None when there is none."""
        if any(key in self.erased for key in self._keys(self.customers[name])):
            return "erased"
        if self.is_suppressed(name, channel):
            return "suppressed"
        statement = self.current(name, "marketing", channel)
        addresses = self.found_by(name, channel)
        if statement is None or statement["status"] != "granted":
            return "no_consent"
        if any((channel, field, SAME[field](address)) in self.objections for field, address in addresses):
            return "no_consent"
        if self.is_over(statement):
            return "consent_expired"
        if self.is_paused(name):
            return "paused"
        if self.is_minor(name):
            return "minor"
        if FIELDS_OF[channel] and not any(is_usable(field, address) for field, address in addresses):
            return "invalid_address"
        return None

    def statuses(self, items: Mapping[str, int], min_items: int) -> dict[tuple[str, str], str]:
        """What is decided about every customer and contact channel, given how many products each one's list has."""
        decided: dict[tuple[str, str], str] = {}
        for channel in CHANNELS:
            taken: set[str] = set()
            for name in sorted(self.customers, key=self._turn):
                reason = self.hindrance(name, channel)
                if reason is None and channel in FIELD_OF:
                    ((field, address),) = self.found_by(name, channel)
                    if SAME[field](address) in taken:
                        reason = "duplicate_address"
                    taken.add(str(SAME[field](address)))
                if reason is None:
                    reason = "exported" if items[name] >= min_items else "too_few_items"
                decided[name, channel] = reason
        return decided

    def _turn(self, name: str) -> tuple[bool, float, str]:
        """Among customers with one address: updated last first, then the smaller id."""
        updated = self.customers[name]["updated_at"]
        return (True, 0, name) if updated is None else (False, -(updated - datetime(1970, 1, 1)).total_seconds(), name)

    def may_personalise(self, name: str) -> bool:
        """Whether what somebody does may be used: yes somewhere, no nowhere, and no objection to marketing at all."""
        answers = [self.current(name, "personalisation", channel) for channel in CHANNELS]
        said = [answer for answer in answers if answer is not None]
        if any(answer["status"] != "granted" for answer in said) or all(self.is_over(answer) for answer in said):
            return False
        marketing = [self.current(name, "marketing", channel) for channel in CHANNELS]
        told = [statement for statement in marketing if statement is not None]
        agrees = any(statement["status"] == "granted" and not self.is_over(statement) for statement in told)
        refuses = any(statement["status"] != "granted" for statement in told)
        is_barred = any("all" in self.barred[key] for key in self._keys(self.customers[name]))
        return not is_barred and not (refuses and not agrees) and not self.is_minor(name)

    def popular(
        self, order_lines: Iterable[Row], products: Iterable[str], days: int, allowed: set[str]
    ) -> dict[str, int]:
        """Ranks of the products by how many bought and kept them lately, then ever, then by id.

        Customers who may not be personalised do not count; ids that lead to nobody do.
        """
        since = self.end - timedelta(days=days)
        recent: dict[tuple[str, str], int] = defaultdict(int)
        ever: dict[tuple[str, str], int] = defaultdict(int)
        for row in order_lines:
            who = row.get("customer_id") or row["visitor_id"]
            person = self.owner.get(who, who)
            if row["ordered_at"] < self.end and (person in allowed or person not in self.customers):
                ever[row["product_id"], person] += row["quantity"]
                if row["ordered_at"] >= since:
                    recent[row["product_id"], person] += row["quantity"]
        buyers = [Counter(product for (product, _), kept in lines.items() if kept > 0) for lines in (recent, ever)]
        ordered = sorted(products, key=lambda product: (-buyers[0][product], -buyers[1][product], product))
        return {product: rank for rank, product in enumerate(ordered, start=1)}
