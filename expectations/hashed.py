"""The independent re-count of audiences of hashes: what is in the files, against the raw customers hashed once more.

Written from the platforms' rules and not from what wrote the files; no form of a hash is shared with it.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from expectations.permission import Permissions
from expectations.reasons import is_email, is_phone
from expectations.recount import decided_once, permitted
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.night import Night

HEADERS = {
    "google_customer_match": {"Email": "email", "Phone": "phone"},
    "meta_custom_audiences": {"email": "email", "phone": "phone", "fn": "name", "ln": "name", "country": "country"},
}
"""Kind -> the columns that its files may have, and what is hashed in each."""
SIGNALS = {"personalised": True, "unpersonalised": False}
NAME = re.compile(r"_(?P<signal>personalised|unpersonalised)(?P<what>|_add|_remove)_(?P<day>\d{8})(?:_[2-9]\d*)?\.csv")
GMAIL = frozenset({"gmail.com", "googlemail.com"})
HASH = "^[0-9a-f]{64}$"
OF_NOTHING = hashlib.sha256(b"").hexdigest()
KEY = ["kind", "hash"]
NO_HASHES = pl.DataFrame(schema=dict.fromkeys(KEY, pl.String))


def check(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """Every check on the files of one audience of hashes. Details are counts."""
    suite, night = f"recount/{channel.name}", evidence.night
    paths, strange = _files(night, channel)
    checks = [
        critical(suite, "files_are_there", passed=all(paths.values()), detail=f"{sum(map(bool, paths.values()))} of 4"),
        found_none(suite, "files_are_known", strange, sum(map(len, paths.values())) + strange, noun="files"),
    ]
    if not all(found.passed for found in checks):
        return checks
    cells = {what: _cells(channel, parts) for what, parts in paths.items()}
    said = {what: rows.filter(pl.col("kind").is_in(["email", "phone"])).select(KEY) for what, rows in cells.items()}
    people = evidence.exported(channel)
    named = evidence.audience(channel).select("customer_id")
    return [
        *checks,
        _hashes(suite, pl.concat(cells.values())),
        critical(
            suite,
            "recipients_are_those_decided",
            passed=named.height == people.height == named.unique().join(people, on="customer_id", how="semi").height,
            detail=f"{named.height:,} recipients, {people.height:,} decisions to export",
        ),
        *_said(suite, channel, said, expected(permissions, people, channel.kind), _held(evidence, channel)),
        *permitted(suite, people, permissions, channel.contact_channel.value, night.end),
        decided_once(suite, evidence, permissions, channel),
    ]


def expected(permissions: Permissions, people: pl.DataFrame, kind: str) -> pl.DataFrame:
    """kind, hash and is_personalised of every address that one of the people can be matched by.

    One no of somebody with the address is enough for it to be unpersonalised.
    """
    known = permissions.customers.join(people, on="customer_id", how="semi")
    forms = {"email": (is_email("email"), _email_of(kind)), "phone": (is_phone("phone"), _phone_of(kind))}
    found = []
    for name, (is_valid, form) in forms.items():
        theirs = known.filter(is_valid).select("customer_id", address=name)
        distinct = theirs["address"].unique()
        hashes = [hashlib.sha256(form(text).encode()).hexdigest() for text in distinct]
        hashed = pl.DataFrame({"address": distinct, "hash": pl.Series(hashes, dtype=pl.String)})
        found.append(theirs.join(hashed, on="address").select("customer_id", "hash", kind=pl.lit(name)))
    allowed = pl.col("customer_id").is_in(permissions.personalised["customer_id"].implode())
    return pl.concat(found).group_by(KEY).agg(is_personalised=allowed.all())


def _email_of(kind: str) -> Callable[[str], str]:
    return _at_google if kind == "google_customer_match" else str


def _at_google(email: str) -> str:
    """Gmail takes no notice of dots, nor of anything behind a +."""
    local, _, domain = email.partition("@")
    return f"{local.partition('+')[0].replace('.', '') if domain in GMAIL else local}@{domain}"


def _phone_of(kind: str) -> Callable[[str], str]:
    return str if kind == "google_customer_match" else lambda phone: phone.removeprefix("+")


@dataclass(frozen=True)
class Held:
    """kind and hash of what the platform may hold, and of what it holds for certain."""

    possibly: pl.DataFrame
    certainly: pl.DataFrame


def _held(evidence: Evidence, channel: Channel) -> Held:
    """Of the last delivered night and of all after it, as the ledger has them."""
    night, ours = evidence.night, pl.col("channel") == channel.name
    nights = pl.read_parquet(night.raw / "past_nights.parquet").filter(ours)
    delivered = nights.filter("is_delivered")["run_date"].max()
    days = nights.filter(pl.col("run_date") >= delivered)["run_date"] if delivered is not None else nights["run_date"]
    rows = pl.read_parquet(night.raw / "ledger" / "rows" / "*.parquet").filter(
        ours, pl.col("run_date").is_in(days.implode())
    )
    hashes = (
        rows.unpivot(["email", "phone"], index="run_date", variable_name="kind", value_name="hash")
        .drop_nulls()
        .group_by(KEY)
        .agg(nights=pl.col("run_date").n_unique())
    )
    certain = hashes.filter(pl.col("nights") == days.n_unique()) if delivered is not None else hashes.clear()
    return Held(hashes.select(KEY), certain.select(KEY))


def _said(
    suite: str, channel: Channel, said: dict[tuple[str, str], pl.DataFrame], wanted: pl.DataFrame, held: Held
) -> list[Check]:
    """Everybody is in the file of their consent signal and in no other; who left is taken out of both audiences."""
    named = pl.concat([said[signal, ""] for signal in SIGNALS])
    strange = missing = kept = wrong = 0
    for signal, is_personalised in SIGNALS.items():
        theirs = wanted.filter(pl.col("is_personalised") == is_personalised).select(KEY)
        in_file, removed = said[signal, ""], said[signal, "remove"]
        strange += _beyond(in_file, theirs)
        unsaid = theirs.join(in_file, on=KEY, how="anti")
        missing += _beyond(unsaid, held.certainly) if channel.rows == "delta" else unsaid.height
        wrong += _beyond(removed, held.possibly) + removed.join(theirs, on=KEY, how="semi").height
        kept += _beyond(held.possibly.join(wanted, on=KEY, how="anti"), removed)
        other = pl.concat(said[one, ""] for one in SIGNALS if one != signal)
        if channel.rows == "delta":
            kept += _beyond(other.join(held.possibly, on=KEY, how="semi"), removed)
    return [
        found_none(suite, "hashes_named_once", named.height - named.unique().height, named.height, noun="hashes"),
        found_none(suite, "hashes_are_of_recipients_of_the_signal", strange, named.height, noun="hashes"),
        found_none(suite, "everybody_is_named_or_known_already", missing, wanted.height, noun="hashes"),
        found_none(suite, "removed_were_held_and_left", wrong, held.possibly.height, noun="hashes"),
        found_none(suite, "who_left_is_removed", kept, held.possibly.height, noun="hashes"),
    ]


def _hashes(suite: str, cells: pl.DataFrame) -> Check:
    """Nothing but well-formed hashes of something, in columns that the platform knows."""
    good = pl.col("kind").is_not_null() & pl.col("hash").str.contains(HASH) & (pl.col("hash") != OF_NOTHING)
    return found_none(suite, "cells_are_hashes", cells.filter(~good).height, cells.height, noun="cells")


def _files(night: Night, channel: Channel) -> tuple[dict[tuple[str, str], list[Path]], int]:
    """Per signal and what (empty: the audience's own) the parts; and how many files have no name of these."""
    own = "_add" if channel.rows == "delta" else ""
    found: dict[tuple[str, str], list[Path]] = {(signal, what): [] for signal in SIGNALS for what in ("", "remove")}
    strange = 0
    folder = night.files / channel.name
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = NAME.fullmatch(path.name.removeprefix(channel.name))
        if path.name.startswith("."):
            continue
        if match is None or match["what"] not in {own, "_remove"} or match["day"] != f"{night.run_date:%Y%m%d}":
            strange += 1
            continue
        found[match["signal"], "remove" if match["what"] == "_remove" else ""].append(path)
    return found, strange


def _cells(channel: Channel, parts: list[Path]) -> pl.DataFrame:
    """kind and hash of every filled cell; kind is null in a column that the platform does not know."""
    known = HEADERS[channel.kind]
    columns = [column for path in parts for column in pl.read_csv(path, infer_schema=False)]
    pieces = [
        pl.DataFrame({"kind": pl.Series([known.get(column.name)] * len(column), dtype=pl.String), "hash": column})
        for column in columns
    ]
    return pl.concat([NO_HASHES, *pieces]).filter(pl.col("hash") != "")


def _beyond(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    return rows.join(those, on=KEY, how="anti").height
