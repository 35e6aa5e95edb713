"""Which suppressions of an earlier night are gone? As many rows as before may name other people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.addresses import define_normal_forms
from recsys.database import connect, literal
from recsys.files import read_json
from recsys.ingest.landed import Landed
from recsys.night import Night

TABLE = "suppressions"

_STATEMENTS = """
    SELECT DISTINCT kind, value, CASE reason WHEN 'erased' THEN 'all' ELSE channel END AS channel FROM (
        SELECT 'customer_id' AS kind, customer_id AS value, channel, reason FROM {rows}
        UNION ALL SELECT 'email', normalised_email(email), channel, reason FROM {rows}
        UNION ALL SELECT 'phone', normalised_phone(phone), channel, reason FROM {rows}
    ) WHERE value IS NOT NULL AND (kind <> 'phone' OR starts_with(value, '+'))
"""
"""Who is suppressed over which contact channel, as it is matched; a number without a country code matches nobody."""

_GONE = """
    SELECT count(*) FILTER (NOT EXISTS (
        SELECT 1 FROM now
        WHERE now.kind = before.kind AND now.value = before.value AND now.channel IN ('all', before.channel)
    )), count(*) FROM before
"""


@dataclass(frozen=True)
class Vanished:
    """Counts of ids and addresses, each with its contact channel: those that are gone, of all there were."""

    gone: int
    before: int


def vanished(night: Night, earlier: Night, entry: dict[str, Any]) -> Vanished | None:
    """Compare the suppressions that a night took in with those of an earlier one; None when these cannot be read.

    What counts is whom the files name, by id or by address in the form in which addresses are compared, and the contact
    channel. Both sides are read from the landed rows, which an erasure changes alike; where those of the earlier night
    are gone, from its raw table.
    """
    now = _landed(night, entry)
    before = _landed(earlier, read_json(earlier.inputs)["tables"][TABLE])
    raw = earlier.raw / f"{TABLE}.parquet"
    if not all(one.is_whole for one in before) and not raw.is_file():
        return None
    paths = [one.good for one in before] if all(one.is_whole for one in before) else [raw]
    with connect(folders=[night.shop.root / "landed" / TABLE, earlier.raw]) as con:
        define_normal_forms(con)
        for name, files in (("before", paths), ("now", [one.good for one in now])):
            con.execute(f"CREATE TEMP TABLE {name} AS {_STATEMENTS.format(rows=_rows(files))}")
        gone, every = con.execute(_GONE).fetchall()[0]
    return Vanished(int(gone), int(every))


def _landed(night: Night, entry: dict[str, Any]) -> list[Landed]:
    folder = night.shop.root / "landed" / TABLE
    return [Landed(folder, file["sha256"], file["mapping"]) for file in entry["files"]]


def _rows(paths: list[Path]) -> str:
    """The rows of some files; without any, a table without rows."""
    if paths:
        return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], union_by_name = true)"
    columns = ", ".join(f"NULL::VARCHAR AS {name}" for name in ("customer_id", "email", "phone", "channel", "reason"))
    return f"(SELECT {columns} WHERE false)"
