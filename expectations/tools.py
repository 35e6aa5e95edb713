"""The independent re-count of the files of tools: who is in them, whether they may be, and with which products.

Read from the finished bytes by `expectations.tool_readers`; compared with the decisions, with raw/ and with the
ledger. A channel of a kind that nobody can read here does not leave.
"""

import re
from datetime import timedelta

import polars as pl

from expectations import removals, tool_readers
from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from expectations.normal import normalised_phone
from expectations.permission import Permissions
from expectations.recount import decided_once, permitted
from expectations.tool_readers import ToolFiles
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.night import Night

NEEDED = ("", "remove", "clear")
SLOT = re.compile(r"rec_\d+_id")


def check(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """Every check on the files of one channel of a tool. Details are counts."""
    suite, night = f"recount/{channel.name}", evidence.night
    files = tool_readers.files_of(night, channel.name)
    readable = tool_readers.is_read(channel)
    checks = [
        critical(suite, "somebody_can_read_it", passed=readable, detail=f"kind {channel.kind}"),
        *_names(suite, night, files),
    ]
    if not all(found.passed for found in checks):
        return checks
    rows = tool_readers.read(night, channel, files.paths[""])
    table = evidence.audience(channel)
    people = table.select(sorted({"customer_id", channel.identifier}))
    return [
        *checks,
        *_people(suite, evidence, permissions, channel, rows, people),
        *_items(suite, evidence, channel, rows, people),
        *_departures(suite, evidence, channel, files, people),
        decided_once(suite, evidence, permissions, channel),
    ]


def _names(suite: str, night: Night, files: ToolFiles) -> list[Check]:
    """Every file of a channel is there under its name, dated the night or, by an account's clock, up to two days on."""
    missing = [what or "audience" for what in NEEDED if what not in files.paths]
    days = {f"{night.run_date + timedelta(days=more):%Y%m%d}" for more in (0, 1, 2)}
    undated = sum(not any(f"_{day}" in path.name for day in days) for paths in files.paths.values() for path in paths)
    return [
        critical(suite, "files_are_there", passed=not missing, detail=f"missing: {', '.join(missing) or 'none'}"),
        found_none(suite, "files_are_known", files.strange + undated, sum(map(len, files.paths.values()))),
    ]


def _people(
    suite: str,
    evidence: Evidence,
    permissions: Permissions,
    channel: Channel,
    rows: pl.DataFrame,
    people: pl.DataFrame,
) -> list[Check]:
    identifier, exported = channel.identifier, evidence.exported(channel)
    found = _column(rows, identifier)
    strangers = found.join(people, on=identifier, how="anti").height
    missing = people.join(found, on=identifier, how="anti")
    unsaid = missing if channel.rows == "full" else _not_held(evidence, channel, missing)
    same = people.select("customer_id").unique().join(exported, on="customer_id", how="semi").height
    checks = [
        found_none(suite, "rows_name_recipients", strangers, found.height),
        found_none(suite, "rows_named_once", found.height - found[identifier].n_unique(), found.height),
        found_none(suite, "everybody_is_named_or_known_already", unsaid.height, people.height, noun="people"),
        critical(
            suite,
            "recipients_are_those_decided",
            passed=same == people.height == exported.height,
            detail=f"{people.height:,} recipients, {exported.height:,} decisions to export",
        ),
    ]
    cells = found.join(people, on=identifier, how="inner")
    said = people if channel.rows == "delta" else cells
    if identifier == "phone":
        theirs = permissions.customers.select("customer_id", theirs="phone")
        wrong = cells.with_columns(normalised_phone("phone")).join(theirs, on="customer_id", how="left")
        wrong = wrong.filter(pl.col("phone").ne_missing(pl.col("theirs")))
        checks.append(found_none(suite, "number_is_the_customers", wrong.height, cells.height))
    return [*checks, *permitted(suite, said, permissions, channel.contact_channel.value, evidence.night.end)]


def _items(suite: str, evidence: Evidence, channel: Channel, rows: pl.DataFrame, people: pl.DataFrame) -> list[Check]:
    slots = evidence.slots(channel).select("customer_id", "rank", "product_id")
    promised = (
        evidence.recommendations.filter(pl.col("rank") <= channel.slots)
        .join(people, on="customer_id", how="semi")
        .select("customer_id", pl.col("rank").cast(pl.Int64), "product_id")
    )
    shown = shown_items(rows, channel, people)
    named = shown.select("customer_id").unique()
    expected = slots.join(named, on="customer_id", how="semi")
    differing = _beyond(shown, expected) + _beyond(expected, shown)
    counted = rows
    if {"items", "rec_1_id"} <= set(rows.columns):
        said = pl.col("items").cast(pl.Int64, strict=False)
        counted = rows.filter(said.ne_missing(pl.sum_horizontal(_filled(rows)).cast(pl.Int64)))
    return [
        found_none(
            suite,
            "items_are_the_recommendations",
            _beyond(slots, promised) + _beyond(promised, slots),
            promised.height,
            noun="items",
        ),
        found_none(suite, "items_in_the_file_are_those_decided", differing, expected.height, noun="items"),
        found_none(suite, "products_are_counted", counted.height, rows.height),
    ]


def shown_items(rows: pl.DataFrame, channel: Channel, people: pl.DataFrame) -> pl.DataFrame:
    """customer_id, rank and product_id of every filled slot of the file's rows."""
    if rows.is_empty():
        return pl.DataFrame(schema={"customer_id": pl.String, "rank": pl.Int64, "product_id": pl.String})
    known = rows if "customer_id" in rows.columns else rows.join(people, on=channel.identifier, how="inner")
    pieces = [
        known.select(
            "customer_id", pl.lit(slot, pl.Int64).alias("rank"), pl.col(f"rec_{slot}_id").alias("product_id")
        ).drop_nulls("product_id")
        for slot in range(1, channel.slots + 1)
    ]
    return pl.concat(pieces)


def _departures(
    suite: str, evidence: Evidence, channel: Channel, files: ToolFiles, people: pl.DataFrame
) -> list[Check]:
    """Who left since the last delivered file is in the remove file and emptied in the clear file, nobody else."""
    night, identifier = evidence.night, channel.identifier
    entries = pl.read_parquet(night.raw / "ledger" / "recipients" / "*.parquet")
    nights = pl.read_parquet(night.raw / "past_nights.parquet")
    named = removals.last_named(entries, nights, channel, night.run_date)
    column = "address" if channel.address_kind is not None else "customer_id"
    gone = named.select(pl.col(column).alias(identifier)).drop_nulls().unique().join(people, on=identifier, how="anti")
    remove = tool_readers.read(night, channel, files.paths["remove"])
    clear = tool_readers.read(night, channel, files.paths["clear"])
    listed, emptied = _column(remove, identifier), _column(clear, identifier)
    full = [pl.col(name).is_not_null() for name in clear.columns if name.startswith("rec_")]
    says = clear.filter(pl.any_horizontal(*full, pl.col("filled") > 0)) if full else clear
    count = clear.filter(pl.col("items").ne_missing("0")).height if "items" in clear.columns else clear.height
    return [
        found_none(
            suite,
            "removed_are_those_who_left",
            _beyond(listed, gone) + _beyond(gone, listed) + listed.height - listed.unique().height,
            gone.height,
            noun="people",
        ),
        found_none(
            suite, "cleared_are_those_removed", _beyond(listed, emptied) + _beyond(emptied, listed), listed.height
        ),
        found_none(suite, "cleared_rows_say_nothing", says.height + count, clear.height),
        *_opted_out(suite, evidence, channel, files, listed),
    ]


def _opted_out(
    suite: str, evidence: Evidence, channel: Channel, files: ToolFiles, removed: pl.DataFrame
) -> list[Check]:
    if "optout" not in files.paths:
        return []
    out = _column(tool_readers.read(evidence.night, channel, files.paths["optout"]), channel.identifier)
    return [found_none(suite, "opted_out_have_left", _beyond(out, removed), out.height)]


def _not_held(evidence: Evidence, channel: Channel, missing: pl.DataFrame) -> pl.DataFrame:
    """Those of the people for whom some night that the tool may hold lacks them, or had another row or list."""
    night = evidence.night
    ours = pl.col("channel") == channel.name
    nights = pl.read_parquet(night.raw / "past_nights.parquet").filter(ours)
    delivered = nights.filter("is_delivered")["run_date"].max()
    if delivered is None:
        return missing
    days = nights.filter(pl.col("run_date") >= delivered)["run_date"]
    rows = pl.read_parquet(night.raw / "ledger" / "rows" / "*.parquet").filter(ours, pl.col("run_date").is_in(days))
    held = (
        rows.group_by("customer_id")
        .agg(rows=pl.len(), kinds=pl.col("row_sha").n_unique())
        .filter(pl.col("rows") == len(days), pl.col("kinds") == 1)
    )
    items = pl.read_parquet(night.raw / "ledger" / "items" / "*.parquet").filter(ours, pl.col("run_date") == delivered)
    now, then = (
        frame.sort("customer_id", "rank").group_by("customer_id", maintain_order=True).agg("product_id")
        for frame in (evidence.slots(channel), items)
    )
    same = now.join(then, on=["customer_id", "product_id"], how="semi")
    certain = held.join(same, on="customer_id", how="semi")
    return missing.join(certain, on="customer_id", how="anti")


def _column(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """One column of a file; of a file without rows, which need not even have a header, an empty one."""
    return rows.select(name) if name in rows.columns else pl.DataFrame(schema={name: pl.String})


def _filled(rows: pl.DataFrame) -> list[pl.Expr]:
    """Whether each slot names a product, whatever else a slot says."""
    return [pl.col(name).is_not_null() for name in rows.columns if SLOT.fullmatch(name)]


def _beyond(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    return rows.join(those, on=rows.columns, how="anti").height
