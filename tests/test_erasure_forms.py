"""An erased person leaves published files of every form, found by whatever the tool finds people by."""

import hashlib
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from channel_contract import item, recipient, write_decisions
from tool_contract import gone, person
from toy import RUN_DATE, write_shop

from recsys import export, ledger
from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.config import load_shop
from recsys.erasure.audiences import Audiences
from recsys.erasure.marks import Marks
from recsys.files import sha256_of
from recsys.manifest import read_published
from recsys.night import Night
from recsys.suppression.key import Key
from recsys.tables import write_parquet

KEY = Key(b"k" * 32)
ANN = "ann-zq7391"
CHANNELS = [
    {"name": "mail", "kind": "email_file", "format": "jsonl"},
    {"name": "lake", "kind": "email_file", "format": "parquet"},
    {"name": "klaviyo", "kind": "klaviyo"},
    {"name": "requests", "kind": "klaviyo", "format": "json"},
    {"name": "texts", "kind": "klaviyo", "contact_channel": "sms"},
    {"name": "braze", "kind": "braze"},
    {"name": "ingestion", "kind": "braze", "format": "jsonl", "identifier": "email"},
    {"name": "parquet", "kind": "braze", "format": "parquet"},
    {"name": "sfmc", "kind": "sfmc", "format": "txt"},
    {"name": "mailchimp", "kind": "mailchimp"},
    {"name": "hubspot", "kind": "hubspot"},
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A published night: Ann and Ben are in every file, and Ann has left one more audience."""
    shop = write_shop(tmp_path_factory.mktemp("forms"))
    content = yaml.safe_load(shop.path.read_text())
    content["channels"] = [{"slots": 2, "min_items": 1, "moments": ["recommendations"]} | it for it in CHANNELS]
    shop.path.write_text(yaml.safe_dump(content))
    night = Night(load_shop(shop.path), RUN_DATE)
    rows: dict[str, list[dict[str, object]]] = {}
    for channel in night.shop.channels:
        family = channel.tables
        for who in (ANN, "ben"):
            made = person(who) if family == "tool" else recipient(who)
            carried = {"customer_id", "channel", "language", "send_not_before", "send_not_after", "may_personalise"}
            kept = {k: v for k, v in made.items() if family != "tool" or k in {*carried, *channel.carries}}
            rows.setdefault(f"sync_{family}__recipients", []).append(kept | {"channel": channel.name})
            rows.setdefault(f"sync_{family}__items", []).append(item(who, 1, "p1", channel=channel.name))
        if channel.address_kind and family == "tool":
            left = gone(f"old-{ANN}", **{"email": f"{ANN}@old.example.com"}) | {"channel": channel.name}
            rows.setdefault("sync_tool__removals", []).append(left)
    write_decisions(night.decisions, **rows)
    write_parquet(pl.DataFrame({"model_version": ["als-1"]}), night.recommendations)
    render.run(night)
    paths = [night.recommendations, *night.decisions.glob("*.parquet"), *night.files.rglob("*.*")]
    paths += night.folder.glob("rows/*.parquet")
    files = {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in sorted(paths) if path.is_file()}
    green = Check(suite="all", check="fine", severity="critical", passed=True)
    Verdict(run_date=RUN_DATE, checks=(green,), files=files).write(night.verdict)
    for name in export.channels(night):
        export.run(night, name)
    return night


def marks() -> Marks:
    who = person(ANN)
    known = [("customer_id", ANN), ("customer_id", f"old-{ANN}"), ("email", f"{ANN}@old.example.com")]
    known += [(kind, str(who[kind])) for kind in ("email", "phone")]
    known += [("phone", str(person(f"old-{ANN}")["phone"]))]
    rows = [(kind, KEY.hash(value), "somebody") for kind, value in known]
    return Marks(KEY, pl.DataFrame(rows, schema=["kind", "hash", "person"], orient="row"))


CANARIES = ("zq7391", str(person(ANN)["phone"]), str(person(f"old-{ANN}")["phone"]))


def text_of(path: Path) -> str:
    if path.suffix == ".parquet":
        return str(pl.read_parquet(path).rows())
    return path.read_text(encoding="utf-8")


@pytest.mark.thorough
def test_she_is_told_of_and_taken_out_of_every_form_and_nobody_else_is(night: Night) -> None:
    root = night.shop.root
    published = [path for path in (night.published / "audiences").rglob("*_2026*") if path.suffix != ".sha256"]
    hers = {path for path in published if any(canary in text_of(path) for canary in CANARIES)}
    assert {path.suffix for path in hers} == {".jsonl", ".parquet", ".csv", ".json", ".txt"}
    assert {path.parent.parent.name for path in hers} == {str(channel["name"]) for channel in CHANNELS}
    received = Audiences(root, marks()).received()
    assert {(e["channel"], e["file"]) for e in received["somebody"]} == {(p.parent.parent.name, p.name) for p in hers}
    counts = Audiences(root, marks()).redact(date(2026, 4, 2))
    assert counts["audiences"] == len(CHANNELS)
    for path in published:
        assert not any(canary in text_of(path) for canary in CANARIES), path.name
    for channel in night.shop.channels:
        found = read_published(night.audience(channel.name))
        assert found is not None
        assert found.manifest.redacted
        assert found.manifest.audience_rows == 1
        [file] = found.manifest.audience_files
        text = text_of(night.audience(channel.name) / file.file)
        assert "ben" in text or str(person("ben")["phone"]) in text
    assert not [path for path in night.ledger.rglob("*.parquet") if "zq7391" in text_of(path)]
    assert Audiences(root, marks()).redact(date(2026, 4, 3))["audience_rows"] == 0


def test_hashed_addresses_are_found_by_what_the_ledger_calls_her(tmp_path: Path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    hashes = {who: hashlib.sha256(f"{who}@example.com".encode()).hexdigest() for who in (ANN, "ben")}
    entries = [{"channel": "ads", "customer_id": who, "email": value, "row_sha": "x"} for who, value in hashes.items()]
    rows = pl.DataFrame(entries).with_columns(run_date=pl.lit(RUN_DATE), phone=pl.lit(None, pl.String))
    path = night.ledger / "rows" / "ads" / "2026-03-31.parquet"
    write_parquet(rows.select(list(ledger.ROWS.schema)), path)
    audiences = Audiences(night.shop.root, marks())
    file = pl.DataFrame({"Email": [hashes["ben"], hashes[ANN]]})
    assert audiences._without(file, "ads")["Email"].to_list() == [hashes["ben"]]
    assert audiences._without(file, "other").height == 2
