"""Turns one landed file into a DuckDB table `source`: its columns, and `_line`, where in the file each row stands.

Lines that are no rows (wrong number of cells, broken JSON) go to the table `broken` with line, reason and text.
"""

from pathlib import Path

import duckdb

from recsys.database import literal, quoted
from recsys.errors import SourceRefused
from recsys.ingest.text import PlainText, check_header, plain_text
from recsys.table_settings import CsvDialect, TableSource

BROKEN = "CREATE OR REPLACE TEMP TABLE broken (line BIGINT, reason VARCHAR, row_hash VARCHAR, text VARCHAR)"
MAX_LINE_BYTES = 1 << 20


def read_source(con: duckdb.DuckDBPyConnection, landed: Path, name: str, source: TableSource, scratch: Path) -> None:
    """Fill the temporary tables `source` and `broken` from one landed file.

    Raises SourceRefused when the file as a whole is not what the shop file says.
    """
    con.execute(BROKEN)
    if source.format == "csv":
        assert source.csv is not None  # noqa: S101 (checked when the shop file was loaded)
        with plain_text(landed, name, source.csv.encoding, scratch) as text:
            check_header(text, name, source.csv)
            _read_csv(con, text.path, name, source.csv)
    elif source.format == "jsonl":
        with plain_text(landed, name, "utf-8", scratch) as text:
            _read_jsonl(con, text, name, source.fields)
    else:
        _read_parquet(con, landed, name)


def _read_csv(con: duckdb.DuckDBPyConnection, path: Path, name: str, dialect: CsvDialect) -> None:
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in dialect.header)
    con.execute("DROP TABLE IF EXISTS reject_errors")
    con.execute("DROP TABLE IF EXISTS reject_scans")
    try:
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE parsed AS
            SELECT *, row_number() OVER () AS _record
            FROM read_csv($path, auto_detect = false, header = true, delim = $delimiter, quote = $quote,
                escape = $escape, columns = {{{columns}}}, store_rejects = true, rejects_limit = 0,
                max_line_size = {MAX_LINE_BYTES})
            """,
            {"path": str(path), "delimiter": dialect.delimiter, "quote": dialect.quote, "escape": dialect.escape},
        )
    except duckdb.Error as error:
        # the engine's own text quotes the raw line, which may hold personal data
        raise SourceRefused(
            f"{name}: the CSV cannot be read with the dialect of the shop file ({type(error).__name__}): quotes that "
            "do not close, mixed line ends, or a file cut off inside a row. Deliver it again or correct csv."
        ) from None
    other = con.execute(
        "SELECT line, error_type FROM reject_errors WHERE error_type NOT IN ('MISSING COLUMNS', 'TOO MANY COLUMNS') "
        "ORDER BY line LIMIT 1"
    ).fetchone()
    if other is not None:
        raise SourceRefused(
            f"{name}: line {other[0]} cannot be read ({str(other[1]).lower()}); the file is damaged or cut off. "
            "Deliver it again."
        )
    rejected, last_line, rows = con.execute(
        "SELECT count(DISTINCT line), coalesce(max(line), 0), (SELECT count(*) FROM parsed) FROM reject_errors"
    ).fetchall()[0]
    if not dialect.final_newline and last_line == rows + rejected + 1:
        raise SourceRefused(f"{name}: the last row is incomplete; the file is cut off. Deliver it again.")
    con.execute(
        """
        INSERT INTO broken
        SELECT line,
            CASE min(error_type) WHEN 'MISSING COLUMNS' THEN 'too_few_cells' ELSE 'too_many_cells' END,
            sha256(min(csv_line)), min(csv_line)
        FROM reject_errors GROUP BY line
        """
    )
    has_newline = ", ".join(f"coalesce(bool_or(contains({quoted(c)}, chr(10))), false)" for c in dialect.header)
    flags = con.execute(f"SELECT {has_newline} FROM parsed").fetchall()[0]
    columns_with_newlines = [
        f"coalesce({quoted(c)}, '')" for c, flag in zip(dialect.header, flags, strict=True) if flag
    ]
    record = "1 + _record"
    if rejected:
        record += " + (SELECT count(*) FROM shifted WHERE after_record <= _record)"
    inner = " + ".join(f"length({c}) - length(replace({c}, chr(10), ''))" for c in columns_with_newlines) or "0"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE placed AS
        WITH shifted AS (SELECT line - row_number() OVER (ORDER BY line) AS after_record FROM broken)
        SELECT parsed.* EXCLUDE (_record), {record} AS _record, {inner} AS _newlines FROM parsed
        """
    )
    before = "0"
    if columns_with_newlines:
        window = "ORDER BY _record ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        before = f"coalesce(sum(_newlines) OVER ({window}), 0)"
        con.execute(
            "UPDATE broken SET line = line + (SELECT coalesce(sum(_newlines), 0) FROM placed WHERE _record < line)"
        )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE source AS
        SELECT * EXCLUDE (_record, _newlines), cast(_record + {before} AS BIGINT) AS _line FROM placed
        """
    )
    con.execute("DROP TABLE placed")
    con.execute("DROP TABLE parsed")


def _read_jsonl(con: duckdb.DuckDBPyConnection, text: PlainText, name: str, fields: list[str]) -> None:
    """Every field as text: lists and objects as JSON, null as NULL. Unknown fields are drift, as in a CSV header."""
    try:
        con.execute(
            """
            CREATE OR REPLACE TEMP TABLE lines AS
            SELECT line, row_number() OVER () AS _line
            FROM read_csv($path, auto_detect = false, header = false, columns = {'line': 'VARCHAR'}, delim = $unused,
                quote = '', escape = '', max_line_size = 16777216)
            """,
            {"path": str(text.path), "unused": "\x1f"},
        )
    except duckdb.Error as error:
        # the engine's own text quotes the raw line, which may hold personal data
        raise SourceRefused(
            f"{name}: the lines cannot be read ({type(error).__name__}): mixed line ends, control characters, or a "
            "line of more than 16 MiB. Deliver it again as one JSON object per line."
        ) from None
    con.execute(
        """
        INSERT INTO broken
        SELECT _line, 'not_json', sha256(line), line FROM lines
        WHERE trim(line) <> '' AND NOT CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END
        """
    )
    last = "SELECT count(*) FROM broken WHERE line = (SELECT max(_line) FROM lines)"
    cut_off = con.execute(last).fetchall()[0][0]
    if cut_off and not text.ends_with_newline:
        raise SourceRefused(f"{name}: the last line is no whole JSON object; the file is cut off. Deliver it again.")
    con.execute("DELETE FROM lines WHERE coalesce(trim(line), '') = '' OR _line IN (SELECT line FROM broken)")
    added = con.execute(
        "SELECT DISTINCT unnest(json_keys(line)) AS field FROM lines EXCEPT SELECT unnest($fields) ORDER BY field",
        {"fields": fields},
    ).fetchall()
    if added:
        raise SourceRefused(
            f"{name}: fields that the shop file does not name: {', '.join(field for (field,) in added[:30])}. "
            "If the export changed on purpose, add them to fields and look at the column expressions."
        )
    unpacked = ", ".join(
        f"json_extract_string(line, {literal(_pointer(field))}) AS {quoted(field)}" for field in fields
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE source AS SELECT {unpacked}, _line FROM lines")
    con.execute("DROP TABLE lines")


def _pointer(field: str) -> str:
    """A JSON pointer (RFC 6901) to a field of an object."""
    return "/" + field.replace("~", "~0").replace("/", "~1")


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    try:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE source AS "
            "SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS _line "
            "FROM read_parquet($path, file_row_number = true)",
            {"path": str(path)},
        )
    except duckdb.Error as error:
        raise SourceRefused(
            f"{name}: not a readable Parquet file ({type(error).__name__}); it is damaged or cut off. Deliver it again."
        ) from None
