"""The first stage of a night: takes what was delivered, checks it against the contracts, and writes the raw tables.

Everything is judged before anything is kept: a refused file or too many bad rows stops the night with all the reasons
at once, and the same files are judged again next time.
"""

import logging
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import duckdb
import polars as pl

from recsys import champion, ledger
from recsys.contracts import CONTRACTS
from recsys.database import connect
from recsys.erasure.screen import Screen
from recsys.errors import SourceRefused, TooManyBadRows
from recsys.files import private_folder, read_json, sha256_of, write_json
from recsys.ingest import feeds, query
from recsys.ingest.assemble import RawFile, assemble, write_quarantine, write_settings
from recsys.ingest.landed import Landed, map_file, mapping_hash
from recsys.ingest.registry import Registry
from recsys.ingest.sources import SourceFile, belongs, find, query_name, take
from recsys.night import Night
from recsys.suppression import memory
from recsys.suppression.key import KEY_ENV
from recsys.table_settings import TableSource

log = logging.getLogger("recsys")

_HINTS = {
    "no_country_code": "the number can match nobody; put the country code in front in tables.{table}.columns.{column}, "
    "\"'+49' || ltrim(phone, '0')\" for one country",
}
"""Reason of a fault -> what to do about it in the shop file."""


def run(night: Night) -> dict[str, int | str]:
    """Write `inputs.json` and `raw/` of the night; rows, files and bad rows per table.

    A night that was published keeps the inputs it had: running it again reads the same bytes, whatever came since.
    What is delivered of people who were erased is taken out before anything is kept. Raises ConfigError, SourceRefused,
    TooManyBadRows, PermissionFeedUnfit, SuppressionKeyUnfit or Transient; then nothing of this night's files counts as
    taken.
    """
    private_folder(night.raw)
    shop = night.shop
    if memory.key_of(night.published) is None:
        log.warning("ingest: %s is not set, so this night's suppressions will not be remembered", KEY_ENV)
    for leftover in (shop.root / "landing").glob(".*"):  # of a process that died; one stage at a time is here
        leftover.unlink()
    if _is_published(night) and night.inputs.is_file():
        inputs = read_json(night.inputs)
        log.info("ingest: %s is published; reading the inputs it had", night.run_date)
    else:
        registry = Registry.load(shop.root / "registry.json")
        inputs = _take_all(night, registry)
        _judge(night, inputs)
        feeds.judge(night, inputs)
        inputs["ledger"] = ledger.known(night)
        inputs["champion"] = champion.known(night.published, night.run_date)
        inputs["erased_until"] = max(night.run_date, memory.first_unpublished(night.published)).isoformat()
        registry.save()
        write_json(night.inputs, inputs)
    return _write_raw(night, inputs)


def _is_published(night: Night) -> bool:
    return any(night.published.glob(f"audiences/*/{night.run_date.isoformat()}/_SUCCESS"))


def _take_all(night: Night, registry: Registry) -> dict[str, Any]:
    """Take and map every file the night may read. Collects refusals, so that one run shows all of them."""
    refusals: list[str] = []
    tables: dict[str, Any] = {}
    screen = Screen.open(night.shop)
    for table in CONTRACTS:
        if table not in night.shop.tables:
            tables[table] = {"present": False, "rows": 0, "files": []}
            continue
        source = night.shop.source(table)
        try:
            _see_deliveries(night, table, source, registry, screen)
        except SourceRefused as refusal:
            refusals.append(str(refusal))
            continue
        files = registry.visible(table, night.run_date, partial(belongs, night.shop, table, source))
        if source.delivery == "full" and files:
            newest = max(file.file_date or date.min for file in files)
            files = [file for file in files if (file.file_date or date.min) == newest]
        if not files and CONTRACTS[table].required:
            wanted = ", ".join(source.files) or "its query"
            refusals.append(f"{table}: required, but nothing was delivered up to {night.run_date} by {wanted}.")
        entries = []
        folder = private_folder(night.shop.root / "landed" / table)
        with connect(folders=[night.shop.root / "landing", folder]) as con:
            for position, file in enumerate(files, start=1):
                try:
                    entries.append(_land(con, night, source, file, registry))
                except SourceRefused as refusal:
                    refusals.append(str(refusal))
                if position % 100 == 0:
                    log.info("ingest: %s: %d of %d files", table, position, len(files))
        tables[table] = {"present": bool(files), "rows": sum(entry["rows"] for entry in entries), "files": entries}
    if refusals:
        raise SourceRefused(
            f"{len(refusals)} source(s) refused; nothing was loaded for the night of {night.run_date}.\n  "
            + "\n  ".join(refusals)
        )
    return {"run_date": night.run_date.isoformat(), "tables": tables}


def _see_deliveries(night: Night, table: str, source: TableSource, registry: Registry, screen: Screen | None) -> None:
    landing = night.shop.root / "landing"
    if source.query is not None:
        private_folder(landing)
        target = landing / f".{table}.query.parquet"
        try:
            query.fetch(night.shop, table, source, night.end, target)
            if screen:
                screen.clean(target, query_name(table), [table])
            sha256 = sha256_of(target)
            target.replace(landing / sha256)
        finally:
            target.unlink(missing_ok=True)
        registry.see(SourceFile(table, query_name(table), sha256, night.run_date))
        return
    for name, path, file_date in find(night.shop, table, source):
        if file_date is not None and file_date > night.run_date:
            continue
        clean = partial(screen.clean, name=name, tables=screen.readers(name)) if screen else None
        delivered, kept = take(path, name, landing, registry.redacted, clean)
        registry.redact(delivered, kept)
        registry.see(SourceFile(table, name, kept, file_date))


def _land(
    con: duckdb.DuckDBPyConnection, night: Night, source: TableSource, file: SourceFile, registry: Registry
) -> dict[str, Any]:
    """The file's entry for inputs.json; maps its rows first unless that was done before.

    Bytes that an earlier night took and that the shop file of today no longer fits (the export has changed since)
    keep the rows they had then.
    """
    landed = Landed(night.shop.root / "landed" / file.table, file.sha256, mapping_hash(file.table, source))
    if not landed.is_whole:
        try:
            map_file(con, night.shop.root / "landing", source, file, landed)
        except SourceRefused:
            known = [replace(landed, mapping=mapping) for mapping in registry.earlier_mappings(file)]
            before = next((one for one in known if one.is_whole), None)
            if before is None:
                raise
            log.warning("ingest: %s does not fit the shop file any more; its rows stay as they were read", file.path)
            landed = before
    return {
        "file": file.path,
        "sha256": file.sha256,
        "mapping": landed.mapping,
        "file_date": file.file_date.isoformat() if file.file_date else None,
        "is_new": registry.take(file, landed.mapping, night.run_date),
        **read_json(landed.card)["counts"],
    }


def _restore(night: Night, table: str, entry: dict[str, Any], landed: Landed) -> None:
    """Map bytes again for a night that keeps its inputs. Raises SourceRefused where the rows cannot be the same."""
    source = night.shop.source(table) if table in night.shop.tables else None
    if source is None or mapping_hash(table, source) != landed.mapping:
        raise SourceRefused(
            f"{entry['file']}: its rows are gone from landed/, and the shop file would read it otherwise today; the "
            f"night of {night.run_date} cannot be run again from the inputs it had."
        )
    file_date = date.fromisoformat(entry["file_date"]) if entry["file_date"] else None
    with connect(folders=[night.shop.root / "landing", private_folder(landed.folder)]) as con:
        map_file(
            con,
            night.shop.root / "landing",
            source,
            SourceFile(table, entry["file"], landed.sha256, file_date),
            landed,
        )


def _judge(night: Night, inputs: dict[str, Any]) -> None:
    """Raise TooManyBadRows when the files that are new tonight hold more bad rows than the shop file allows.

    Of the permission tables every file is judged every night.
    """
    faults = []
    for table, entry in inputs["tables"].items():
        if not entry["present"]:
            continue
        new = [file for file in entry["files"] if file["is_new"] or not CONTRACTS[table].tolerates_bad_rows]
        bad, total = sum(f["bad_rows"] for f in new), sum(f["rows"] + f["bad_rows"] for f in new)
        source = night.shop.tables[table]
        default = night.shop.ingest.max_bad_share if CONTRACTS[table].tolerates_bad_rows else 0.0
        limit = default if source.max_bad_share is None else source.max_bad_share
        if bad > limit * total:
            worst = max(new, key=lambda f: f["bad_rows"])
            faults.append(
                f"{table}: {bad} of {total} new rows are bad ({bad / total:.2%}; allowed {limit:.2%}), most in "
                f"{worst['file']}: {_main_faults(night, table, worst)}"
            )
    if faults:
        raise TooManyBadRows(
            f"Too many bad rows for the night of {night.run_date}; nothing was loaded.\n  "
            + "\n  ".join(faults)
            + "\n  Deliver corrected files under the same names, or raise ingest.max_bad_share if this is normal."
        )


def _main_faults(night: Night, table: str, entry: dict[str, Any]) -> str:
    bad = Landed(night.shop.root / "landed" / table, entry["sha256"], entry["mapping"]).bad
    counted = (
        pl.read_parquet(bad)
        .group_by("column_name", "reason")
        .agg(pl.len().alias("n"), pl.col("line").min().alias("line"))
        .sort(["n", "column_name", "reason"], descending=[True, False, False])
        .head(5)
    )
    return "; ".join(
        f"{reason}{f' in {column}' if column else ''} x {count} (first in line {line})"
        + (f": {_HINTS[reason].format(table=table, column=column)}" if reason in _HINTS else "")
        for column, reason, count, line in counted.iter_rows()
    )


def _write_raw(night: Night, inputs: dict[str, Any]) -> dict[str, int | str]:
    counts: dict[str, int | str] = {}
    every: set[str] = set()
    new: set[str] = set()
    absent, quarantined = [], []
    for table, entry in inputs["tables"].items():
        files = []
        for file in entry["files"]:
            landed = Landed(night.shop.root / "landed" / table, file["sha256"], file["mapping"])
            if not landed.is_whole:
                _restore(night, table, file, landed)
            files.append(RawFile(landed.good, landed.bad, file["file"], file["file_date"] or "", file["sha256"]))
        counts[table] = assemble(night, CONTRACTS[table], files)
        quarantined += [file for file, facts in zip(files, entry["files"], strict=True) if facts["bad_rows"]]
        every.update(file["sha256"] for file in entry["files"])
        new.update(file["sha256"] for file in entry["files"] if file["is_new"])
        if not entry["present"]:
            absent.append(table)
    counts["bad_rows"] = write_quarantine(night, [file.quarantine() for file in quarantined]).height
    counts |= {"files": len(every), "new_files": len(new)}
    counts["absent"] = ", ".join(absent) or "none"
    champion.link(night.published, night.raw, inputs.get("champion"))
    write_settings(night)
    ledger.link(night, inputs.get("ledger", {}))
    counts["remembered_suppressions"] = memory.match(night, memory.key_of(night.published))
    return counts
