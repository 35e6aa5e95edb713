"""A published audience to deliver to a tool's API, and one run of its delivery."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from publisher_faults import night_below
from pydantic import SecretStr
from tool_servers import KEY, Klaviyo, Server

from recsys import ledger
from recsys.audit import AuditedFile
from recsys.delivery import braze, klaviyo
from recsys.delivery.api import Clock, Pace
from recsys.delivery.api_carrier import ApiCarrier
from recsys.delivery.carrier import Audience, open_parts
from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Journal
from recsys.errors import CannotDeliver, Transient
from recsys.lock import exclusive
from recsys.manifest import read_published
from recsys.night import Night
from recsys.publisher import Outgoing, publish, start_attempt
from recsys.tables import write_parquet

SILENCE = 0.15
"""Seconds after which a test counts a server as silent."""


@dataclass
class Time:
    """A clock that nobody waits for."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


def klaviyo_lines(*bodies: Sequence[str]) -> bytes:
    """One request body per line, profiles known by these external ids."""
    lines = []
    for ids in bodies:
        profiles = [
            {
                "type": "profile",
                "attributes": {
                    "external_id": each,
                    "email": f"{each}@example.com",
                    "properties": {"rec_1_id": f"item-{each}"},
                },
            }
            for each in ids
        ]
        data = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
        lines.append(json.dumps({"data": data}) + "\n")
    return "".join(lines).encode()


def braze_lines(ids: Sequence[str], **attributes: Any) -> bytes:
    """One row of a Cloud Data Ingestion file per external id."""
    payloads = [json.dumps({"rec_1_id": f"item-{each}", **attributes}) for each in ids]
    rows = [json.dumps({"EXTERNAL_ID": each, "PAYLOAD": text}) for each, text in zip(ids, payloads, strict=True)]
    return "".join(f"{row}\n" for row in rows).encode()


def published(folder: Path, channel: str, files: dict[str, bytes], customers: Sequence[str]) -> Night:
    """A night with an audience of these files under its final name, and its recipients in the ledger."""
    night = night_below(folder)
    outgoing = []
    for name, content in files.items():
        path = night.files / channel / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        audited = AuditedFile(path, hashlib.sha256(content).hexdigest(), night.run_date)
        outgoing.append(Outgoing(audited, content.count(b"\n"), ("x",)))
    recipients = pl.DataFrame({"customer_id": sorted({*customers})}, schema={"customer_id": pl.String}).select(
        run_date=pl.lit(night.run_date),
        campaign=pl.lit("recommendations"),
        channel=pl.lit(channel),
        contact_channel=pl.lit("email"),
        customer_id="customer_id",
        address=pl.col("customer_id") + "@example.com",
    )
    write_parquet(recipients, ledger.path_of(night, ledger.RECIPIENTS, channel))
    publish(night, channel, outgoing, model_version=None, checks_passed=1, attempt=start_attempt(night, channel))
    return night


def connection_to(server: Server, **extra: Any) -> Connection:
    return Connection("tool", host=server.host, password=SecretStr(KEY), extra=extra)


def carrier_to(server: Server, night: Night, channel: str, time: Time | None = None, **extra: Any) -> ApiCarrier:
    """The carrier of a night's audience to a server."""
    time = time or Time()
    published = read_published(night.audience(channel))
    assert published
    audience = Audience(night, channel, night.audience(channel), published)
    make: Callable[..., ApiCarrier] = klaviyo.KlaviyoApi if isinstance(server, Klaviyo) else braze.BrazeApi
    pace: Pace = klaviyo.PACE if isinstance(server, Klaviyo) else braze.PACE
    return make(audience, connection_to(server, **extra), time.clock, replace(pace, answer=SILENCE))


def deliver(server: Server, night: Night, channel: str, time: Time | None = None, **extra: Any) -> Journal:
    """One run of the delivery, as the stage does it."""
    carrier = carrier_to(server, night, channel, time, **extra)
    journal = Journal.open(night, channel, carrier.target)
    with exclusive(night.shop.root):
        journal.plan(load.part for load in carrier.loads())
        try:
            for part in open_parts(journal):
                carrier.carry(part, journal)
        finally:
            carrier.close()
    return journal


def delivered_at_last(server: Server, night: Night, channel: str, runs: int = 12, **extra: Any) -> Journal:
    """The journal after as many runs as it takes, or some at most."""
    for _ in range(runs):
        try:
            return deliver(server, night, channel, **extra)
        except (Transient, CannotDeliver):
            continue
    raise AssertionError(f"not through after {runs} runs")


def errors_of(night: Night, channel: str) -> pl.DataFrame:
    """The ledger's errors of a channel and night."""
    return pl.read_parquet(night.ledger / "errors" / channel / f"{night.run_date}.parquet")
