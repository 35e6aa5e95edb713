"""A published audience to deliver to a tool's API, and one run of its delivery."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from publisher_faults import night_below
from pydantic import SecretStr
from tool_servers import KEY, Klaviyo, Server

from recsys import ledger
from recsys.audit import AuditedFile
from recsys.delivery import braze, klaviyo, stage
from recsys.delivery.api import Clock, Pace
from recsys.delivery.api_carrier import ApiCarrier
from recsys.delivery.audiences import audience_of
from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Journal
from recsys.delivery.record_errors import ERRORS
from recsys.delivery.settings import Deliver
from recsys.errors import CannotDeliver, Transient
from recsys.lock import exclusive
from recsys.night import Night
from recsys.publisher import Outgoing, publish, start_attempt
from recsys.tables import write_parquet

PATIENCE, SILENCE = 30.0, 1.0
"""Seconds after which a server counts as silent: where all of them answer, and where one does not."""


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


def carrier_to(
    server: Server, night: Night, channel: str, time: Time | None = None, answer: float = PATIENCE, **extra: Any
) -> ApiCarrier:
    """The carrier of a night's audience to a server."""
    time = time or Time()
    make: Callable[..., ApiCarrier] = klaviyo.KlaviyoApi if isinstance(server, Klaviyo) else braze.BrazeApi
    pace: Pace = klaviyo.PACE if isinstance(server, Klaviyo) else braze.PACE
    return make(audience_of(night, channel), connection_to(server, **extra), time.clock, replace(pace, answer=answer))


def deliver(server: Server, night: Night, channel: str, time: Time | None = None, **extra: Any) -> Journal:
    """One run of the delivery as the stage makes it, on a clock of our own."""
    api = "klaviyo" if isinstance(server, Klaviyo) else "braze"
    carrier = carrier_to(server, night, channel, time, **extra)
    with exclusive(night.shop.root), patch.object(stage, "carrier_of", lambda *_: carrier):
        return stage.deliver(audience_of(night, channel), Deliver(to=f"api:{api}", connection="tool"))


def delivered_at_last(server: Server, night: Night, channel: str, runs: int = 12, **extra: Any) -> Journal:
    """The journal after as many runs as it takes, or some at most."""
    for _ in range(runs):
        with suppress(Transient, CannotDeliver):
            return deliver(server, night, channel, **extra)
    raise AssertionError(f"not through after {runs} runs")


def errors_of(night: Night, channel: str) -> pl.DataFrame:
    """The ledger's errors of a channel and night, without rows where there are none."""
    path = night.ledger / "errors" / channel / f"{night.run_date}.parquet"
    return pl.read_parquet(path) if path.is_file() else ERRORS.schema.to_frame()
