"""The re-count of messages: nobody over a cap, outside their hours, in the control group, or with a list they had.

From raw contacts and customers, the ledger's files and the finished files; it shares no SQL with the dbt project.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from expectations import clocks
from expectations.evidence import Evidence
from expectations.facts import direct_links
from expectations.findings import found_none
from expectations.permission import ADDRESSES, Permissions, addressed
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.config import Shop
from recsys.contact_settings import Cap
from recsys.ledger import CAMPAIGN
from recsys.night import Night

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
WINDOW = ("send_not_before", "send_not_after")


@dataclass(frozen=True)
class Past:
    """What people have had and when it is where they are.

    `messages`: contact_channel, customer_id, address, sent_at, campaign_day; one row each. `addresses`:
    contact_channel, customer_id, address. `clocks`: customer_id, clock.
    """

    messages: pl.DataFrame
    addresses: pl.DataFrame
    clocks: pl.DataFrame


def gather(night: Night, permissions: Permissions) -> Past:
    """Read the messages that may count towards a cap, with the address each went to."""
    customers = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "country", "timezone"])
    known = customers.select("customer_id")
    ids = pl.concat([known.select("customer_id", id="customer_id"), direct_links(night, known)], how="diagonal")
    addresses = pl.concat(
        addressed(permissions, to).select(pl.lit(to).alias("contact_channel"), "customer_id", "address")
        for to in ADDRESSES
    )
    since = night.run_date - timedelta(days=_longest_days(night.shop) + 2)
    messages = (
        pl.concat([_sent(night, since), _planned(night, since)], how="diagonal")
        .join(ids, on="id", how="left")
        .join(addresses, on=["contact_channel", "customer_id"], how="left", suffix="_now")
        .with_columns(address=pl.coalesce("address", "address_now"))
        .select("contact_channel", "customer_id", "address", "sent_at", "campaign_day")
    )
    return Past(messages, addresses, clocks.of_customers(customers))


def check(evidence: Evidence, past: Past, channel: Channel) -> list[Check]:
    """The re-count of one channel's finished file, one check per promise. Details are counts."""
    suite, shop = f"recount/{channel.name}", evidence.night.shop
    cells = evidence.audience(channel).select("customer_id", *WINDOW).join(past.clocks, on="customer_id", how="left")
    cells = cells.with_columns(pl.col(WINDOW).str.to_datetime(MOMENT, strict=False), pl.col("clock").fill_null(""))
    everybody = cells.height
    return [
        found_none(suite, "inside_send_window", _untimely(cells, evidence.night, channel), everybody),
        found_none(suite, "nobody_over_a_cap", _over_a_cap(cells, evidence, past, channel), everybody),
        found_none(suite, "no_control", _controls(cells, shop), everybody),
        found_none(suite, "list_is_new", _unchanged(evidence, channel), everybody),
    ]


def is_control(customer_id: str, shop: Shop) -> bool:
    """Whether a customer is in the shop's control group: 32 bits of a hash against the share."""
    digest = hashlib.sha256(f"{shop.shop}\n{customer_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < shop.control_share * 2**32


def _longest_days(shop: Shop) -> int:
    """Whole days that hold the longest window of a cap; 0 without caps."""
    return max((cap.days or (cap.hours or 0) // 24 + 1 for cap in shop.caps), default=0)


def _sent(night: Night, since: date) -> pl.DataFrame:
    contacts = (
        pl.scan_parquet(night.raw / "contacts.parquet")
        .filter(pl.col("sent_at") < night.end, pl.col("sent_at") >= datetime.combine(since, time()))
        .collect()
    )
    is_own = pl.lit(value=False)
    for name in night.shop.caps_own_campaigns:
        campaign = pl.col("campaign")
        same = campaign.str.starts_with(name.removesuffix("*")) if name.endswith("*") else campaign == name
        is_own |= same.fill_null(value=False)
    return contacts.filter(~is_own).select(contact_channel="channel", id="customer_id", sent_at="sent_at")


def _planned(night: Night, since: date) -> pl.DataFrame:
    """Entries of the ledger, one per night, audience and recipient; of other campaigns only without recommendation."""
    person = ["run_date", "contact_channel", "customer_id"]
    entries = (
        pl.scan_parquet(night.raw / "ledger" / "recipients" / "*.parquet")
        .filter(pl.col("run_date") < night.run_date, pl.col("run_date") >= since)
        .collect()
    )
    recommended = entries.filter(pl.col("campaign") == CAMPAIGN)
    others = entries.filter(pl.col("campaign") != CAMPAIGN).join(recommended, on=person, how="anti")
    return (
        pl.concat([recommended, others])
        .group_by(*person, "channel")
        .agg(pl.col("address").max())
        .select(
            "contact_channel",
            "address",
            id="customer_id",
            campaign_day=pl.col("run_date") + pl.duration(days=1),
        )
    )


def _untimely(cells: pl.DataFrame, night: Night, channel: Channel) -> int:
    """Recipients with a moment in their window at which no message may go out to them, or without a window."""
    day = night.run_date + timedelta(days=1)
    kinds = cells.group_by("clock", *WINDOW).len()
    return sum(
        count
        for clock, since, until, count in kinds.rows()
        if since is None
        or until is None
        or since < night.end
        or not clocks.is_allowed(since, until, day, clock, channel.contact_channel, night.shop)
    )


def _over_a_cap(cells: pl.DataFrame, evidence: Evidence, past: Past, channel: Channel) -> int:
    """Recipients with more messages in some cap's window than it allows, the files up to this one included."""
    night = evidence.night
    caps = [cap for cap in night.shop.caps if cap.contact_channel in {None, channel.contact_channel}]
    tonight = _tonight(evidence, past, channel)
    over = []
    for cap in caps:
        windows = _windows(cells, night, cap)
        if windows.is_empty():
            continue
        counted = pl.col("contact_channel") == cap.contact_channel.value if cap.contact_channel else pl.lit(value=True)
        messages = pl.concat([past.messages, tonight], how="diagonal").filter(
            counted,
            (pl.col("sent_at") >= windows["since_at"].min()).fill_null(value=False)
            | (pl.col("campaign_day") >= windows["since_day"].min()).fill_null(value=False),
        )
        reached = _reached(cells.select("customer_id"), messages, past)
        had = (
            reached.join(cells.join(windows, on=["clock", "send_not_before"]), on="customer_id")
            .filter((pl.col("sent_at") >= pl.col("since_at")) | (pl.col("campaign_day") >= pl.col("since_day")))
            .group_by("customer_id")
            .len()
        )
        over.append(had.filter(pl.col("len") + 1 > cap.most).select("customer_id"))
    return pl.concat(over).n_unique() if over else 0


def _tonight(evidence: Evidence, past: Past, channel: Channel) -> pl.DataFrame:
    """The messages of the files that the shop file names before this one, shaped like those of the past."""
    channels = evidence.night.shop.channels
    day = evidence.night.run_date + timedelta(days=1)
    earlier = [
        evidence.audience(other).select(
            "customer_id", contact_channel=pl.lit(other.contact_channel.value), campaign_day=pl.lit(day, pl.Date)
        )
        for other in channels[: channels.index(channel)]
    ]
    empty = past.messages.clear().select("customer_id", "contact_channel", "campaign_day")
    return pl.concat([empty, *earlier]).join(past.addresses, on=["contact_channel", "customer_id"], how="left")


def _reached(people: pl.DataFrame, messages: pl.DataFrame, past: Past) -> pl.DataFrame:
    """customer_id, sent_at and campaign_day of each message once for everybody it reached, by id or by address."""
    numbered = messages.with_row_index("message")
    by_id = numbered.join(people, on="customer_id", how="semi")
    theirs = past.addresses.join(people, on="customer_id", how="semi")
    by_address = numbered.drop("customer_id").join(theirs, on=["contact_channel", "address"])
    columns = ("message", "customer_id", "sent_at", "campaign_day")
    return pl.concat([by_id.select(columns), by_address.select(columns)]).unique(["message", "customer_id"])


def _windows(cells: pl.DataFrame, night: Night, cap: Cap) -> pl.DataFrame:
    """clock and send_not_before of recipients, with the first moment and the first campaign day that count."""
    rows: list[tuple[str, datetime, datetime, date]] = []
    for clock, opens in cells.select("clock", "send_not_before").unique().drop_nulls().rows():
        zones = clocks.zones_of(clock, night.shop)
        if cap.days is not None:
            day = night.run_date + timedelta(days=2 - cap.days)
            rows.append((clock, opens, clocks.day_begins(day, zones), day))
        elif cap.hours is not None:
            since = opens - timedelta(hours=cap.hours) + timedelta(microseconds=1)
            rows.append((clock, opens, since, clocks.earliest_day(since, zones)))
    schema = {
        "clock": pl.String(),
        "send_not_before": pl.Datetime("us"),
        "since_at": pl.Datetime("us"),
        "since_day": pl.Date(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _controls(cells: pl.DataFrame, shop: Shop) -> int:
    """Recipients in the control group. polars has no SHA-256, so this asks one by one, if there is a group at all."""
    if not shop.control_share:
        return 0
    return sum(is_control(customer_id, shop) for customer_id in cells["customer_id"].drop_nulls())


def _unchanged(evidence: Evidence, channel: Channel) -> int:
    """Recipients whose list is the one last exported, where the channel skips those."""
    if not channel.skip_unchanged:
        return 0
    night = evidence.night
    recipients = evidence.audience(channel).select("customer_id").lazy()
    entries = (
        pl.scan_parquet(night.raw / "ledger" / "items" / "*.parquet")
        .filter(pl.col("channel") == channel.name, pl.col("run_date") < night.run_date)
        .join(recipients, on="customer_id", how="semi")
        .collect()
    )
    newest = entries.join(
        entries.group_by("customer_id").agg(pl.col("run_date").max()), on=["customer_id", "run_date"], how="semi"
    )
    before, now = (
        frame.sort("customer_id", "rank").group_by("customer_id", maintain_order=True).agg("rank", "product_id")
        for frame in (newest.with_columns(pl.col("rank").cast(pl.Int64)), evidence.slots(channel))
    )
    return now.join(before, on=["customer_id", "rank", "product_id"], how="semi").height
