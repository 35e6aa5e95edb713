"""The gate's own count of tools' files: right ones pass, and each that is wrong is found by the check for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from expectations import evidence as evidence_of
from expectations import linting, permission, tool_readers, tools
from recsys.channels import render
from recsys.config import load_shop
from recsys.night import Night
from recsys.tables import write_parquet
from tests import gate_night, toy
from tests.gate_night import write_past

KINDS: list[dict[str, Any]] = [
    {"kind": "klaviyo"},
    {"kind": "klaviyo", "format": "json"},
    {"kind": "braze"},
    {"kind": "braze", "format": "jsonl"},
    {"kind": "braze", "format": "parquet", "identifier": "email"},
    {"kind": "sfmc", "format": "txt"},
    {"kind": "mailchimp"},
    {"kind": "hubspot"},
]


def night_of(folder: Path, **settings: Any) -> Night:
    """The good night with one more channel, `tool`; Cat was in its last file, and Ann and Ben are in tonight's."""
    night = gate_night.write_night(folder)
    content = yaml.safe_load(night.shop.path.read_text())
    channel = {"name": "tool", "slots": 2, "min_items": 1, "contact_channel": "email"} | settings
    content["channels"].append(channel)
    night.shop.path.write_text(yaml.safe_dump(content, sort_keys=False))
    night = Night(load_shop(night.shop.path), toy.RUN_DATE)
    for what in ("recipients", "items"):
        rows = pl.read_parquet(night.decisions / f"sync_email_file__{what}.parquet")
        wanted = pl.read_parquet_schema(night.decisions / f"sync_tool__{what}.parquet")
        known = {name: pl.lit(None, kind).alias(name) for name, kind in wanted.items() if name not in rows.columns}
        rows = rows.with_columns(*known.values(), channel=pl.lit("tool"))
        if "may_personalise" in rows.columns:
            rows = rows.with_columns(may_personalise=pl.lit(value=True))
        write_parquet(rows.select(list(wanted)).match_to_schema(wanted), night.decisions / f"sync_tool__{what}.parquet")
    decisions = pl.read_parquet(night.decisions / "fct_decisions.parquet")
    more = decisions.filter(pl.col("channel") == "email_file").with_columns(channel=pl.lit("tool"))
    write_parquet(pl.concat([decisions, more]), night.decisions / "fct_decisions.parquet")
    by = night.shop.channels[-1].address_kind
    past = [("2026-03-30", "tool", who, f"{who}@example.com" if by else None) for who in ("ann", "cat")]
    write_past(night, *past)
    removals = pl.read_parquet_schema(night.decisions / "sync_tool__removals.parquet")
    left = {"channel": "tool", "customer_id": "cat", "email": "cat@example.com" if by else None, "reason": "no_consent"}
    write_parquet(pl.DataFrame([left], schema=removals), night.decisions / "sync_tool__removals.parquet")
    audience = render.audiences(night.shop)[-1]
    audience.render(night.decisions, night.files / "tool", night.run_date)
    return night


def failed(night: Night) -> set[str]:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    found = tools.check(evidence, permission.gather(night), night.shop.channels[-1])
    assert {check.severity for check in found} == {"critical"}
    told = " ".join(check.detail for check in found)
    assert not any(name in told for name in (*toy.frame("customers")["customer_id"], "example.com"))
    return {check.check for check in found if not check.passed}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_right_files_of_every_kind_pass(tmp_path: Path, kind: dict[str, Any]) -> None:
    assert failed(night_of(tmp_path, **kind)) == set()


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return night_of(tmp_path, kind="klaviyo")


def change(night: Night, what: str, to: Callable[[str], str]) -> None:
    path = tool_readers.files_of(night, "tool").paths[what][0]
    path.write_text(to(path.read_text()))


@pytest.mark.parametrize(
    ("what", "before", "after", "found"),
    [
        ("", "ann@example.com", "cat@example.com", {"rows_name_recipients", "everybody_is_named_or_known_already"}),
        ("", "ann@example.com", "ben@example.com", {"rows_named_once", "everybody_is_named_or_known_already"}),
        ("", '"green"', '"black"', {"items_in_the_file_are_those_decided"}),
        ("", '"mint"', '""', {"items_in_the_file_are_those_decided", "products_are_counted"}),
        ("", '"2","', '"1","', {"products_are_counted"}),
        ("remove", "cat@example.com", "dan@example.com", {"removed_are_those_who_left", "cleared_are_those_removed"}),
        ("remove", '"cat@example.com"\n', "", {"removed_are_those_who_left", "cleared_are_those_removed"}),
        ("remove", "cat@example.com", "ann@example.com", {"removed_are_those_who_left", "cleared_are_those_removed"}),
        ("clear", '"0"', '"2"', {"cleared_rows_say_nothing"}),
        ("clear", '"0",""', '"0","green"', {"cleared_rows_say_nothing"}),
        ("clear", '"cat@example.com",""', '"cat@example.com","Cat"', {"cleared_rows_say_nothing"}),
    ],
)
def test_a_wrong_file_is_found(night: Night, what: str, before: str, after: str, found: set[str]) -> None:
    change(night, what, lambda text: text.replace(before, after, 1))
    assert found <= failed(night)


@pytest.mark.parametrize("what", ["", "remove", "clear"])
def test_a_file_that_is_missing_or_has_another_name_is_found(night: Night, what: str) -> None:
    path = tool_readers.files_of(night, "tool").paths[what][0]
    path.rename(path.with_name("else.csv"))
    assert {"files_are_there", "files_are_known"} <= failed(night)


def test_a_file_of_ours_carries_its_date_whatever_the_tool_takes(night: Night) -> None:
    assert [check for check in linting.check(night) if not check.passed] == []
    path = tool_readers.files_of(night, "tool").paths[""][0]
    path.rename(path.with_name("tool.csv"))
    [check] = [check for check in linting.check(night) if not check.passed]
    assert (check.severity, check.detail) == ("critical", "file_name: no date as in name_20260831 at the end")


def test_somebody_who_may_not_be_written_to_is_found_though_decisions_say_so(night: Night) -> None:
    for name in ("sync_tool__recipients", "sync_tool__items"):
        path = night.decisions / f"{name}.parquet"
        rows = pl.read_parquet(path)
        cat = rows.filter(pl.col("customer_id") == "ann").with_columns(customer_id=pl.lit("cat"))
        if "email" in cat.columns:
            cat = cat.with_columns(email=pl.lit("cat@example.com"))
        write_parquet(pl.concat([rows, cat]).sort("customer_id"), path)
    render.audiences(night.shop)[-1].render(night.decisions, night.files / "tool", night.run_date)
    assert {"newest_statement_is_granted", "recipients_are_those_decided"} <= failed(night)


def test_a_kind_that_nobody_can_read_does_not_pass(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(tool_readers.PERSON, "klaviyo")
    assert failed(night) == {"somebody_can_read_it"}


def test_whoever_is_left_out_of_a_delta_must_have_had_the_same_list(tmp_path: Path) -> None:
    night = night_of(tmp_path, kind="klaviyo", rows="delta")
    assert failed(night) == set()
    change(night, "", lambda text: "".join(line for line in text.splitlines(keepends=True) if "ann@" not in line))
    assert failed(night) == {"everybody_is_named_or_known_already"}
    rows = {"channel": "tool", "customer_id": "ann", "email": "ann@example.com", "phone": None, "row_sha": "x"}
    ledger = night.raw / "ledger"
    day = pl.lit("2026-03-30").str.to_date().alias("run_date")
    write_parquet(pl.DataFrame([rows]).with_columns(day), ledger / "rows" / "past.parquet")
    items = [{"channel": "tool", "customer_id": "ann", "rank": rank, "product_id": name} for rank, name in LIST]
    write_parquet(
        pl.DataFrame(items).with_columns(day, pl.col("rank").cast(pl.Int32)), ledger / "items" / "past.parquet"
    )
    assert failed(night) == set()
    write_parquet(
        pl.DataFrame(items[:1]).with_columns(day, pl.col("rank").cast(pl.Int32)), ledger / "items" / "past.parquet"
    )
    assert failed(night) == {"everybody_is_named_or_known_already"}


LIST = [(1, "green"), (2, "black")]
"""Ann's list in the good night."""
