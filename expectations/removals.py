"""The independent re-count of who left each audience: the last file's people minus tonight's, from ledger and bytes.

Reads the ledger's entries of earlier nights as parquet, tonight's finished files, and raw/customers; nothing that dbt
made but the statuses that the remove file repeats.
"""

from datetime import date

import polars as pl

from expectations.columns import FILE_HEAD
from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.vocabulary import Departure, Status

CAMPAIGN = "recommendations"


def check(evidence: Evidence, channel: Channel) -> list[Check]:
    """The re-count of one channel's remove and clear files, one check per promise. Details are counts."""
    suite, cells = f"recount/{channel.name}", evidence.audience(channel)
    remove, clear = evidence.files[f"{channel.name}_remove"].cells, evidence.files[f"{channel.name}_clear"].cells
    keys = [name for name in FILE_HEAD[channel.kind] if name in {"customer_id", "email"}]
    night = evidence.night
    entries = pl.read_parquet(night.raw / "ledger" / "recipients" / "*.parquet")
    past = pl.read_parquet(night.raw / "past_nights.parquet")
    left = departed(last_named(entries, past, channel, night.run_date), cells, keys)
    listed = remove.select(*keys, pl.col("left_since").str.to_date("%Y-%m-%d", strict=False))
    same = remove.select(keys).equals(clear.select(keys))
    full = [name for name in clear.columns if name not in {*keys, "run_date"}]
    return [
        critical(
            suite,
            "removed_are_the_last_files_minus_tonights",
            passed=listed.height == left.height and not _beyond(listed, left) and not _beyond(left, listed),
            detail=f"{listed.height:,} rows in the remove file, {left.height:,} people left; "
            f"{_beyond(listed, left):,} should not be there, {_beyond(left, listed):,} are missing",
        ),
        found_none(suite, "removal_reasons_hold", _wrong_reasons(evidence, channel, remove, cells), remove.height),
        critical(
            suite,
            "cleared_are_those_removed",
            passed=same,
            detail=f"{clear.height:,} rows in the clear file, {remove.height:,} in the remove file",
        ),
        found_none(
            suite,
            "cleared_cells_are_empty",
            clear.filter(pl.any_horizontal(pl.col(full).is_not_null())).height,
            clear.height,
        ),
        found_none(
            suite,
            "cleared_tonight",
            clear.filter(pl.col("run_date").ne_missing(night.run_date.isoformat())).height,
            clear.height,
        ),
    ]


def last_named(entries: pl.DataFrame, nights: pl.DataFrame, channel: Channel, run_date: date) -> pl.DataFrame:
    """customer_id, address and left_since of the channel's last delivered night, and of entries made after it.

    `entries` and `nights` are the ledger as `raw/ledger/recipients` and `raw/past_nights` have it.
    """
    ours = (pl.col("channel") == channel.name) & (pl.col("run_date") < run_date)
    delivered = nights.filter(ours, "is_delivered")["run_date"]
    last = delivered.max() if len(delivered) else date.min
    address = pl.col("address") if channel.address_kind in {"email", "phone"} else pl.lit(None, pl.String)
    return (
        entries.filter(ours, pl.col("campaign") == CAMPAIGN)
        .filter(pl.col("run_date") >= last)
        .select("customer_id", "run_date", address=address)
        .group_by("customer_id", "address")
        .agg(left_since=pl.col("run_date").max())
    )


def departed(named: pl.DataFrame, tonight: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The keys of a file and left_since of whom tonight's file does not name, or not under that address."""
    known = named.filter(pl.col("address").is_not_null())
    moved = (
        known.join(tonight, left_on=["customer_id", "address"], right_on=keys, how="anti") if len(keys) > 1 else known
    )
    anywhere = named.filter(pl.col("address").is_null()).join(tonight, on="customer_id", how="anti")
    left = pl.concat([moved, anywhere.select(moved.columns)])
    return left.rename({"address": "email"}).select(*keys, "left_since")


def _wrong_reasons(evidence: Evidence, channel: Channel, remove: pl.DataFrame, cells: pl.DataFrame) -> int:
    """Rows whose reason is neither tonight's status of a known customer, nor true of an unknown or moved one."""
    customers = pl.read_parquet(evidence.night.raw / "customers.parquet", columns=["customer_id"]).unique()
    statuses = (
        evidence.tables["fct_decisions"].filter(pl.col("channel") == channel.name).select("customer_id", "status")
    )
    stayed = cells.select("customer_id", is_there=pl.lit(value=True))
    expected = (
        pl.when(~pl.col("is_known"))
        .then(pl.lit(Departure.UNKNOWN_CUSTOMER.value))
        .when(pl.col("is_there").fill_null(value=False))
        .then(pl.lit(Departure.ADDRESS_CHANGED.value))
        .when(pl.col("status") != Status.EXPORTED.value)
        .then("status")
    )
    return (
        remove.with_columns(is_known=pl.col("customer_id").is_in(customers["customer_id"].implode()))
        .join(stayed, on="customer_id", how="left")
        .join(statuses, on="customer_id", how="left")
        .filter(pl.col("reason").ne_missing(expected))
        .height
    )


def _beyond(rows: pl.DataFrame, those: pl.DataFrame) -> int:
    """How many rows are not among `those`; an empty address is compared like any other."""
    return rows.join(those, on=rows.columns, how="anti", nulls_equal=True).height
