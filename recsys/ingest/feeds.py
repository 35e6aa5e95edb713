"""Are the permission feeds fit to decide with? An old, missing or shrunken list of opt-outs lets everybody through."""

from datetime import date, timedelta
from typing import Any

from recsys.contracts import CONTRACTS
from recsys.errors import PermissionFeedUnfit
from recsys.files import read_json
from recsys.ingest.vanished import TABLE, vanished
from recsys.night import Night
from recsys.table_settings import TableSource

_MEND = (
    "Deliver the whole list again and clear ingest; if it is right, add the night's date to ingest.accept_smaller_on."
)


def judge(night: Night, inputs: dict[str, Any]) -> None:
    """Raise PermissionFeedUnfit when a permission table is missing, too old, or has lost something since last night.

    A file's age is the time between the beginning of the day it is dated and the night's end: nothing says that it was
    written later that day. Last night is the latest earlier one that was published; a table that it had must still be
    there. Sizes are the rows of the files that count; adding them up, a log of statements never shrinks. Of
    suppressions also every single one must still be there, for the same person or address and contact channel.
    """
    earlier = _last_published(night)
    faults = []
    for table, entry in inputs["tables"].items():
        if CONTRACTS[table].tolerates_bad_rows:
            continue
        if table in night.shop.tables:
            fault = _age_fault(night, table, night.shop.source(table), entry)
        else:
            fault = _absence_fault(night, table, earlier)
        fault = fault or _size_fault(night, table, entry, earlier) or _loss_fault(night, table, entry, earlier)
        if fault:
            faults.append(fault)
    if faults:
        raise PermissionFeedUnfit(
            f"The night of {night.run_date} stops before anything else: who may be contacted cannot be decided.\n  "
            + "\n  ".join(faults)
        )


def _absence_fault(night: Night, table: str, earlier: Night | None) -> str:
    if earlier is None or night.run_date in night.shop.ingest.accept_smaller_on:
        return ""
    before = read_json(earlier.inputs)["tables"][table]
    if not before["present"]:
        return ""
    return (
        f"{table}: not configured any more; the night of {earlier.run_date} had {before['rows']:,} rows of it. "
        f"Put tables.{table} back into the shop file and clear ingest; if the table is to go, add the night's date to "
        "ingest.accept_smaller_on."
    )


def _age_fault(night: Night, table: str, source: TableSource, entry: dict[str, Any]) -> str:
    limit = night.shop.ingest.max_permission_age_hours if source.max_age_hours is None else source.max_age_hours
    if not entry["files"]:
        return f"{table}: configured, but no file was ever delivered. Deliver one, with a header alone if it is empty."
    if limit == float("inf") or source.query is not None:
        return ""
    dates = [date.fromisoformat(file["file_date"]) for file in entry["files"] if file["file_date"]]
    if not dates:
        return (
            f"{table}: its files have no date, so nobody can say how old they are. "
            f"Set tables.{table}.file_date, or max_age_hours: .inf to accept any age."
        )
    newest = max(dates)
    age = (night.end - night.shop.night_end(newest - timedelta(days=1))) / timedelta(hours=1)
    if age <= limit:
        return ""
    return (
        f"{table}: the newest file is of {newest}, which began {age:.0f} hours before the night's end "
        f"(allowed: {limit:g}). "
        "Deliver the days that are missing, with a header alone where nothing happened, and clear ingest."
    )


def _size_fault(night: Night, table: str, entry: dict[str, Any], earlier: Night | None) -> str:
    if earlier is None or night.run_date in night.shop.ingest.accept_smaller_on:
        return ""
    before = read_json(earlier.inputs)["tables"][table]["rows"]
    if entry["rows"] >= before:
        return ""
    return (
        f"{table}: {entry['rows']:,} rows, {before:,} on the night of {earlier.run_date}; such lists only grow. {_MEND}"
    )


def _loss_fault(night: Night, table: str, entry: dict[str, Any], earlier: Night | None) -> str:
    if table != TABLE or earlier is None or night.run_date in night.shop.ingest.accept_smaller_on:
        return ""
    found = vanished(night, earlier, entry)
    if found is None:
        return (
            f"{table}: cannot be compared with the night of {earlier.run_date}, whose rows are gone from landed/ and "
            f"from its raw/. Run ingest of {earlier.run_date} again, then clear ingest."
        )
    if not found.gone:
        return ""
    return (
        f"{table}: {found.gone:,} of the {found.before:,} ids and addresses that were suppressed on the night of "
        f"{earlier.run_date} are missing (customer_id, email, phone; each with its channel); such lists only grow. "
        f"{_MEND}"
    )


def _last_published(night: Night) -> Night | None:
    days = {path.parent.name for path in night.published.glob("audiences/*/*/_SUCCESS")}
    earlier = sorted(day for day in days if day < night.run_date.isoformat())
    found = [Night(night.shop, date.fromisoformat(day)) for day in earlier]
    return next((one for one in reversed(found) if one.inputs.is_file()), None)
