"""When a message may go out and to whom it is one too many: the rules once more, with dicts and loops and nothing else.

Written from docs/decisions/messages.md and not from the SQL, so that the two can be compared. Rows are dicts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from permission_oracle import FIELD_OF, PLAIN

from recsys.channel_settings import Channel
from recsys.config import Shop
from recsys.contact_settings import Cap
from recsys.ingest.clocks import zone, zone_names

Row = Mapping[str, Any]
TICK = timedelta(microseconds=1)


@cache
def zones_in(country: str) -> tuple[str, ...]:
    text = files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(row[2] for row in rows if row[0] == country)


def zones_of(customer: Row, shop: Shop) -> tuple[tuple[ZoneInfo, ...], bool]:
    """Where a person may be, and whether we know anything at all."""
    if customer.get("timezone") in zone_names():
        return (zone(customer["timezone"]),), True
    country = customer.get("country")
    if country and zones_in(country):
        return tuple(zone(name) for name in zones_in(country)), True
    return (zone(shop.timezone),), False


def local(moment: datetime, where: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(where).replace(tzinfo=None)


def moments_showing(shown: datetime, where: ZoneInfo) -> list[datetime]:
    """Every moment at which the clock shows it: none, one or two; UTC."""
    found = set()
    for fold in (0, 1):
        moment = shown.replace(tzinfo=where, fold=fold).astimezone(UTC).replace(tzinfo=None)
        if local(moment, where) == shown:
            found.add(moment)
    return sorted(found)


def when_shown(shown: datetime, where: ZoneInfo, which: Callable[[list[datetime]], datetime]) -> datetime:
    """The moment at which the clock shows it; if it never does, the moment at which the clock jumps over it."""
    moments = moments_showing(shown, where)
    if moments:
        return which(moments)
    before, minutes = shown, 0
    while not moments_showing(before, where):
        minutes += 1
        before = shown - timedelta(minutes=minutes)
    return max(moments_showing(before, where)) + timedelta(minutes=1)


@cache
def window_in(where: ZoneInfo, day: date, opens: int, closes: int) -> tuple[datetime, datetime]:
    midnight = datetime.combine(day, time())
    return (
        when_shown(midnight + timedelta(minutes=opens), where, max),
        when_shown(midnight + timedelta(minutes=closes), where, min),
    )


@cache
def day_begins(where: ZoneInfo, day: date) -> datetime:
    return when_shown(datetime.combine(day, time()), where, min)


class MessageOracle:
    """Tonight's messages of one shop: who is held back after everything that permission says, and why."""

    def __init__(
        self,
        shop: Shop,
        run_date: date,
        customers: Iterable[Row],
        contacts: Iterable[Row],
        ledger: Iterable[Row],
        same_person: Mapping[str, str],
    ) -> None:
        self.shop, self.day, self.end = shop, run_date + timedelta(days=1), shop.night_end(run_date)
        self.customers = {row["customer_id"]: row for row in customers}
        self.where = {name: zones_of(row, shop) for name, row in self.customers.items()}
        self.had: dict[tuple[str, str], list[tuple[int, str, datetime | None, date | None]]] = defaultdict(list)
        number = 0
        for row in contacts:
            if row["sent_at"] < self.end and not self._is_own(row["campaign"]):
                number += 1
                self._note(number, same_person, row["customer_id"], row["channel"], None, row["sent_at"], None)
        entries = list(ledger)
        recommended = {self._person(row) for row in entries if row["campaign"] == "recommendations"}
        for row in entries:
            if row["campaign"] == "recommendations" or self._person(row) not in recommended:
                number += 1
                day = row["run_date"] + timedelta(days=1)
                to = (row["customer_id"], row["contact_channel"], row["address"])
                self._note(number, same_person, *to, None, day)

    @staticmethod
    def _person(row: Row) -> tuple[object, ...]:
        return row["run_date"], row["contact_channel"], row["customer_id"]

    def _is_own(self, campaign: str | None) -> bool:
        names = self.shop.caps_own_campaigns
        return campaign is not None and any(
            campaign.startswith(name[:-1]) if name.endswith("*") else campaign == name for name in names
        )

    def _note(
        self,
        number: int,
        same_person: Mapping[str, str],
        who: str,
        channel: str,
        address: str | None,
        sent_at: datetime | None,
        day: date | None,
    ) -> None:
        known = who if who in self.customers else same_person.get(who)
        if address is None and known is not None:
            address = self.address(known, channel)
        for key in (known and ("id", known), address and (channel, address)):
            if key:
                self.had[key].append((number, channel, sent_at, day))

    def address(self, name: str, channel: str) -> str | None:
        field = FIELD_OF.get(channel)
        return PLAIN[field](self.customers[name].get(field)) if field else None

    def keys(self, name: str) -> list[tuple[str, str]]:
        found = [("id", name), *((channel, self.address(name, channel)) for channel in FIELD_OF)]
        return [(kind, value) for kind, value in found if value is not None]

    def hours(self, channel: str) -> tuple[int, int, bool]:
        """Minutes of the day from and up to which messages go out, and whether any quiet hours were given."""
        opens, closes = [0], [24 * 60]
        for quiet in self.shop.quiet_hours:
            if quiet.contact_channel is None or quiet.contact_channel.value == channel:
                hour, minute = map(int, quiet.ends.split(":"))
                opens.append(hour * 60 + minute)
                hour, minute = map(int, quiet.begins.split(":"))
                closes.append(hour * 60 + minute or 24 * 60)
        return max(opens), min(closes), len(opens) > 1

    def window(self, name: str, channel: str) -> tuple[datetime, datetime]:
        opens, closes, _ = self.hours(channel)
        windows = [window_in(where, self.day, opens, closes) for where in self.where[name][0]]
        return max(self.end, *(window[0] for window in windows)), min(window[1] for window in windows)

    def has_window(self, name: str, channel: str) -> bool:
        opens, closes = self.window(name, channel)
        if channel == "sms" and not self.where[name][1] and self.hours(channel)[2]:
            return False
        return opens < closes

    def is_control(self, name: str) -> bool:
        number = int(hashlib.sha256(f"{self.shop.shop}\n{name}".encode()).hexdigest()[:8], 16)
        return number / 2**32 < self.shop.control_share

    def past(self, name: str, cap: Cap, channels: Collection[str]) -> int:
        """Messages to a person, by id or by address, that count towards a cap for messages over channels tonight."""
        zones = self.where[name][0]
        earliest = min(self.window(name, one)[0] for one in channels)
        counted = set()
        for key in self.keys(name):
            for number, sent_over, sent_at, planned in self.had[key]:
                if cap.contact_channel is not None and cap.contact_channel.value != sent_over:
                    continue
                if cap.days is not None:
                    first = self.day - timedelta(days=cap.days - 1)
                    day = planned or max(local(sent_at, where).date() for where in zones)
                    counts = day >= first
                else:
                    since = earliest - timedelta(hours=cap.hours)
                    latest = sent_at or max(day_begins(where, planned + timedelta(days=1)) for where in zones) - TICK
                    counts = latest > since
                if counts:
                    counted.add(number)
        return len(counted)

    def statuses(
        self, passed: Mapping[str, set[str]], items: Mapping[str, int], unchanged: set[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """What is decided about whoever passes permission and goes first at an address: `passed`, per contact channel.

        `items`: how long each one's list is; `unchanged`: customers and channels whose list was exported before.
        """
        decided: dict[tuple[str, str], str] = {}
        left: dict[tuple[str, str], bool] = {}
        for channel in self.shop.channels:
            over = channel.contact_channel.value
            for name in passed[over]:
                key = (name, channel.name)
                if not self.has_window(name, over):
                    decided[key] = "no_send_window"
                elif self.is_control(name):
                    decided[key] = "control"
                else:
                    wanted = "exported"
                    if min(items[name], channel.slots) < channel.min_items:
                        wanted = "too_few_items"
                    elif channel.skip_unchanged and key in unchanged:
                        wanted = "nothing_new"
                    tonight = sum(
                        left.get((name, earlier.name), False)
                        for earlier in self._before(channel)
                        if earlier.contact_channel is channel.contact_channel
                    )
                    own = [cap for cap in self.shop.caps if cap.contact_channel is channel.contact_channel]
                    if any(self.past(name, cap, [over]) + tonight >= cap.most for cap in own):
                        decided[key] = "capped"
                    else:
                        decided[key], left[key] = wanted, wanted == "exported"
        anywhere = {channel.contact_channel.value for channel in self.shop.channels}
        everywhere = [cap for cap in self.shop.caps if cap.contact_channel is None]
        at: dict[tuple[str, str], set[str]] = defaultdict(set)
        for name in self.customers:
            for key_at in self.keys(name)[1:]:
                at[key_at].add(name)
        for channel in self.shop.channels:
            for name in passed[channel.contact_channel.value]:
                if (name, channel.name) not in left:
                    continue
                tonight = 0
                for earlier in self._before(channel):
                    over = earlier.contact_channel.value
                    people = {name} | at[over, self.address(name, over) or ""]
                    tonight += sum(left.get((person, earlier.name), False) for person in people)
                if any(self.past(name, cap, anywhere) + tonight >= cap.most for cap in everywhere):
                    decided[name, channel.name] = "capped"
        return decided

    def is_over(self, name: str, channel: Channel, exported: set[tuple[str, str]]) -> bool:
        """Whether one more message to somebody would be beyond a cap, given who is in the files before this one."""
        tonight: Counter[str] = Counter()
        for earlier in self._before(channel):
            over = earlier.contact_channel.value
            people = [name] + [n for n in self.customers if self.address(n, over) == (self.address(name, over) or "")]
            tonight[over] += sum((person, earlier.name) in exported for person in set(people))
        over = channel.contact_channel.value
        return any(
            self.past(name, cap, [over]) + (tonight[over] if cap.contact_channel else tonight.total()) >= cap.most
            for cap in self.shop.caps
            if cap.contact_channel in {None, channel.contact_channel}
        )

    def _before(self, channel: Channel) -> list[Channel]:
        return self.shop.channels[: self.shop.channels.index(channel)]
