"""Whole nights of a shop with a channel of every kind and form: the gate lets them pass, and they say what happened."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import toy
from tool_night import CHANNELS, finish, write_shop

from recsys.channels import render
from recsys.manifest import read_published
from recsys.why.story import tell


@pytest.mark.thorough
@pytest.mark.usefixtures("recorded_dbt")
def test_two_nights_of_every_kind_pass_the_gate_and_the_second_says_what_changed(tmp_path: Path) -> None:
    """Ann and Ben are exported on the first night; before the second Ben withdraws. Nothing else changes."""
    shop = write_shop(tmp_path)
    first = finish(shop, toy.RUN_DATE)
    toy.deliver_permissions(shop, toy.RUN_DATE + timedelta(days=1))
    consents = tmp_path / "inbox" / "2026-04-01" / "consents.csv"
    header = consents.read_text().splitlines()[0].split(",")
    said = {
        "customer_id": "ben",
        "channel": "email",
        "purpose": "marketing",
        "status": "withdrawn",
        "occurred_at": "2026-04-01 10:00:00",
    }
    consents.write_text(",".join(header) + "\n" + ",".join(said.get(name, "") for name in header) + "\n")
    second = finish(shop, toy.RUN_DATE + timedelta(days=1))
    for channel, audience in zip(shop.channels, render.audiences(shop), strict=True):
        published = [read_published(night.audience(channel.name)) for night in (first, second)]
        rows = [found.manifest.audience_rows if found else None for found in published]
        assert rows[0] == 2, channel.name
        ledger = second.ledger / "recipients" / channel.name / "2026-04-01.parquet"
        assert pl.read_parquet(ledger)["customer_id"].to_list() == ["ann"]
        found = published[1]
        assert found is not None
        files = {file.file: file.rows for file in found.manifest.files}
        removed = [count for name, count in files.items() if f"{channel.name}_remove_" in name]
        assert removed == [1], channel.name
        if channel.rows == "delta":
            assert rows[1] in {0, 1}
        else:
            assert rows[1] == 1
        [path] = [second.audience(channel.name) / file.file for file in found.manifest.audience_files]
        known = audience.read(path)
        assert known.height == rows[1]
    told = tell(second, "ann")
    assert told.holds
    assert tell(second, "ben").holds


def test_every_kind_of_the_product_is_among_the_channels_of_these_nights() -> None:
    kinds = {str(channel["kind"]) for channel in CHANNELS}
    assert {"email_file", "crm_file", "klaviyo", "braze", "sfmc", "mailchimp", "hubspot"} == kinds
