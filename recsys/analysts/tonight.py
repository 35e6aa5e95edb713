"""Tonight's rows of the history tables, read from what the stages before left behind."""

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from recsys.analysts.history import HISTORY, HistoryTable
from recsys.audit import Verdict
from recsys.database import quoted
from recsys.delivery.audiences import channels
from recsys.delivery.journal import Journal, State
from recsys.delivery.messages import messages_of
from recsys.delivery.record_errors import ERRORS, refused_by
from recsys.errors import StageInputMissing
from recsys.files import read_json
from recsys.manifest import SUCCESS, read_published
from recsys.night import Night
from recsys.vocabulary import Status

Row = dict[str, Any]
_BY_NAME = {table.name: table for table in HISTORY}


_CONTACTS = """
    WITH slices AS (
        SELECT
            unnest($channels::VARCHAR[]) AS channel, unnest($firsts::BIGINT[]) AS first,
            unnest($lasts::BIGINT[]) AS last, unnest($people::BIGINT[]) AS people, unnest($states::VARCHAR[]) AS state
    ),
    least AS (SELECT unnest($delivered::VARCHAR[]) AS channel, unnest($least::VARCHAR[]) AS state),
    refused AS (
        SELECT DISTINCT unnest($refused_channels::VARCHAR[]) AS channel, unnest($refused::VARCHAR[]) AS customer_id
    ),
    contacts AS (
        SELECT
            *, row_number() OVER (PARTITION BY channel ORDER BY customer_id) AS place,
            count(*) OVER (PARTITION BY channel) AS people
        FROM read_parquet($path)
        WHERE status = $exported
    )
    SELECT
        contacts.*,
        CASE WHEN refused.customer_id IS NOT NULL THEN $failed ELSE coalesce(slices.state, least.state, $published) END
            AS state
    FROM contacts
    LEFT JOIN slices
        ON slices.channel = contacts.channel AND slices.people = contacts.people
        AND contacts.place BETWEEN slices.first AND slices.last
    LEFT JOIN least ON least.channel = contacts.channel
    LEFT JOIN refused ON refused.channel = contacts.channel AND refused.customer_id = contacts.customer_id
"""
PUBLISHED = "published"


def insert_tonight(con: duckdb.DuckDBPyConnection, night: Night, verdict: Verdict) -> dict[str, int]:
    """Replace the night's rows in every history table of the attached database `edition`; rows per table.

    Recommendations and decisions come from exactly the files that passed the gate. Where the history stands, only what
    it says about files is replaced. Raises NotAudited when they did not pass, StageInputMissing when a stage has not
    run.
    """
    if history_stands(con, night):
        return _insert_files(con, night)
    for table in HISTORY:
        con.execute(f"DELETE FROM edition.main.{quoted(table.name)} WHERE run_date = $run_date", _of(night))
    recommendations = verdict.audited(night.folder, night.decisions / "fct_recommendations.parquet").path
    decisions = verdict.audited(night.folder, night.decisions / "fct_decisions.parquet").path
    inputs = read_inputs(night)
    _insert_query(con, "recommendations", "SELECT * FROM read_parquet($path)", {"path": str(recommendations)})
    _insert_query(con, "decisions", "SELECT * FROM read_parquet($path)", {"path": str(decisions)})
    _insert_query(con, "contact_history", _CONTACTS, {"path": str(decisions)} | _states(night))
    for name in ("removals", "check_ins"):
        path = verdict.audited(night.folder, night.decisions / f"fct_{name}.parquet").path
        _insert_query(con, name, "SELECT * FROM read_parquet($path)", {"path": str(path)})
    scores = night.evaluation / "scores.parquet"
    if scores.is_file():  # nobody waits for a measurement
        _insert_query(con, "evaluations", "SELECT * FROM read_parquet($path)", {"path": str(scores)})
    _insert_query(
        con,
        "quarantine",
        "SELECT $run_date::DATE AS run_date, * FROM read_parquet($path)",
        _of(night) | {"path": str(night.raw / "quarantine.parquet")},
    )
    _insert_rows(con, "deliveries", night, deliveries(night))
    _insert_errors(con, night)
    _insert_rows(con, "gate_checks", night, _gate_checks(verdict))
    _insert_rows(con, "source_files", night, _source_files(inputs))
    absent = sorted(name for name, table in inputs["tables"].items() if not table["present"])
    _insert_query(
        con,
        "nights",
        """
        SELECT
            $run_date::DATE AS run_date, $shop AS shop, $currency AS currency,
            (SELECT max(model_version) FROM edition.main.recommendations WHERE run_date = $run_date) AS model_version,
            (SELECT count(DISTINCT customer_id) FROM edition.main.decisions WHERE run_date = $run_date) AS customers,
            (SELECT count(DISTINCT customer_id) FROM edition.main.recommendations WHERE run_date = $run_date)
                AS customers_with_list,
            (SELECT count(*) FROM edition.main.recommendations WHERE run_date = $run_date) AS recommendations,
            (SELECT count(*) FROM edition.main.decisions WHERE run_date = $run_date) AS decisions,
            (SELECT count(*) FROM edition.main.decisions WHERE run_date = $run_date AND status = $exported) AS exported,
            (SELECT count(*) FROM edition.main.decisions WHERE run_date = $run_date AND status <> $exported)
                AS held_back,
            $checks AS checks, $warnings AS warnings, $absent::VARCHAR[] AS absent_tables
        """,
        _of(night)
        | {
            "shop": night.shop.shop,
            "currency": night.shop.currency,
            "exported": Status.EXPORTED.value,
            "checks": len(verdict.checks),
            "warnings": len(verdict.warnings),
            "absent": absent,
        },
    )
    return rows_of(con, night)


def history_stands(con: duckdb.DuckDBPyConnection, night: Night) -> bool:
    """Whether the night is in the history of `edition` and had rows erased since: what is made again did not leave."""
    found = [read_published(path.parent) for path in night.published.glob(f"audiences/*/{night.run_date}/{SUCCESS}")]
    told = con.execute("SELECT count(*) FROM edition.main.nights WHERE run_date = $run_date", _of(night)).fetchall()
    return bool(told[0][0]) and any(published is not None and published.manifest.redacted for published in found)


def _insert_files(con: duckdb.DuckDBPyConnection, night: Night) -> dict[str, int]:
    """Replace what the history says about the night's source files, bad rows and published files; rows per table."""
    for name in ("quarantine", "deliveries", "delivery_errors", "source_files"):
        con.execute(f"DELETE FROM edition.main.{quoted(name)} WHERE run_date = $run_date", _of(night))
    path = str(night.raw / "quarantine.parquet")
    quarantined = "SELECT $run_date::DATE AS run_date, * FROM read_parquet($path)"
    _insert_query(con, "quarantine", quarantined, _of(night) | {"path": path})
    _insert_rows(con, "deliveries", night, deliveries(night))
    _insert_errors(con, night)
    _insert_rows(con, "source_files", night, _source_files(read_inputs(night)))
    return rows_of(con, night)


def rows_of(con: duckdb.DuckDBPyConnection, night: Night) -> dict[str, int]:
    """How many rows each history table of the attached database `edition` has for the night."""
    union = " UNION ALL ".join(
        f"SELECT {position} AS position, count(*) AS rows FROM edition.main.{quoted(table.name)} "
        "WHERE run_date = $run_date"
        for position, table in enumerate(HISTORY)
    )
    counts = con.execute(f"SELECT position, rows FROM ({union}) ORDER BY position", _of(night)).fetchall()
    return {HISTORY[position].name: int(rows) for position, rows in counts}


def read_inputs(night: Night) -> Row:
    """What ingest wrote about the night's source files. Raises StageInputMissing when it has not run."""
    if not night.inputs.is_file():
        raise StageInputMissing(f"{night.inputs}: does not exist. Run the stage ingest first.")
    content: Row = read_json(night.inputs)
    return content


def deliveries(night: Night) -> list[Row]:
    """One row per file of the night under a final name and part of it that was delivered.

    Raises AlreadyPublished when one was changed there.
    """
    found = [
        read_published(success.parent)
        for success in sorted(night.published.glob(f"audiences/*/{night.run_date.isoformat()}/{SUCCESS}"))
    ]
    return [
        file.model_dump() | {"channel": published.manifest.channel, "manifest_sha256": published.manifest_sha256} | part
        for published in found
        if published
        for file in published.manifest.files
        for part in _parts(night, published.manifest.channel, file.file)
    ]


def _parts(night: Night, channel: str, file: str) -> list[Row]:
    """The parts that a file was delivered in; without any, that it is published, or that nothing of it has left yet."""
    parts = [
        entry.model_dump(mode="json", include={"part", "rows", "bytes", "sha256", "state", "target", "receipt"})
        for entry in Journal.open(night, channel).entries
        if entry.part == file or entry.part.startswith(f"{file}#")
    ]
    state = "pending" if channel in channels(night) else PUBLISHED
    return parts or [{"part": None, "state": state, "target": None, "receipt": None}]


def _states(night: Night) -> Row:
    """What `_CONTACTS` needs to know about the night's deliveries."""
    found = {channel.name: messages_of(night, channel.name) for channel in night.shop.channels}
    told = {name: messages for name, messages in found.items() if messages}
    refused = [(name, customer) for name in told for customer in refused_by(night, name)]
    slices = [(name, piece) for name, messages in told.items() for piece in messages.slices]
    return {
        "exported": Status.EXPORTED.value,
        "published": PUBLISHED,
        "channels": [name for name, _ in slices],
        "firsts": [piece.first for _, piece in slices],
        "lasts": [piece.last for _, piece in slices],
        "people": [piece.people for _, piece in slices],
        "states": [piece.entry.state.value for _, piece in slices],
        "refused_channels": [name for name, _ in refused],
        "refused": [customer for _, customer in refused],
        "failed": State.FAILED.value,
        "delivered": list(told),
        "least": [messages.least.value for messages in told.values()],
    }


def _gate_checks(verdict: Verdict) -> list[Row]:
    return [
        {
            "suite": check.suite,
            "check_name": check.check,
            "severity": check.severity,
            "passed": check.passed,
            "detail": check.detail,
        }
        for check in verdict.checks
    ]


def _source_files(inputs: Row) -> list[Row]:
    return [
        {
            "table_name": name,
            "file": file["file"],
            "file_date": file["file_date"],
            "sha256": file["sha256"],
            "rows": file["rows"],
            "bad_rows": file["bad_rows"],
            "skipped_rows": sum(file["skipped_rows"].values()),
            "skipped_by": json.dumps(file["skipped_rows"], sort_keys=True),
            "is_new": file["is_new"],
        }
        for name, table in inputs["tables"].items()
        for file in table["files"]
    ]


def _insert_errors(con: duckdb.DuckDBPyConnection, night: Night) -> None:
    """What tools said of single records, over all audiences of the night; nothing where they said nothing."""
    paths = [str(path) for path in sorted(night.ledger.glob(f"{ERRORS.name}/*/{night.run_date}.parquet"))]
    if paths:
        _insert_query(con, "delivery_errors", "SELECT * FROM read_parquet($paths)", {"paths": paths})


def _insert_query(con: duckdb.DuckDBPyConnection, name: str, query: str, values: Row) -> None:
    table = _BY_NAME[name]
    con.execute(f"INSERT INTO edition.main.{quoted(name)} {_in_order(table, query)}", values)


def _insert_rows(con: duckdb.DuckDBPyConnection, name: str, night: Night, rows: Sequence[Row]) -> None:
    """Insert rows that come from a JSON file; each column travels as one bound list."""
    table = _BY_NAME[name]
    filled = [column for column in table.columns if column.name != "run_date"]
    lists = ", ".join(f"unnest(${column.name}::{_list_of(column.type)}) AS {quoted(column.name)}" for column in filled)
    values = {column.name: [row[column.name] for row in rows] for column in filled}
    _insert_query(con, name, f"SELECT $run_date::DATE AS run_date, {lists}", _of(night) | values)


def _list_of(column_type: str) -> str:
    """How a bound list becomes a list of the type: maps travel as JSON texts."""
    return f"JSON[]::{column_type}[]" if column_type.startswith("MAP") else f"{column_type}[]"


def _in_order(table: HistoryTable, query: str) -> str:
    columns = ", ".join(quoted(column.name) for column in table.columns)
    order = ", ".join(map(quoted, table.order))
    return f"SELECT {columns} FROM ({query}) ORDER BY {order}"


def _of(night: Night) -> Row:
    return {"run_date": night.run_date}
