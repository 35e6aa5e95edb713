"""Maps the rows of one landed file onto a contract: column expressions, casts, and every check a row must pass."""

import json
from functools import cache
from pathlib import Path

import duckdb

from recsys.contracts import Column, Contract, SqlType
from recsys.database import connect, copy_to_parquet, literal, quoted
from recsys.errors import SourceRefused
from recsys.files import write_json
from recsys.table_settings import TableSource

CAST_FAILED: dict[SqlType, str] = {
    "BIGINT": "not_a_whole_number",
    "INTEGER": "not_a_whole_number",
    "DECIMAL(18,4)": "not_a_number",
    "BOOLEAN": "not_true_or_false",
    "TIMESTAMP": "not_a_timestamp",
    "DATE": "not_a_date",
    "VARCHAR[]": "not_a_list",
}


def map_rows(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    source: TableSource,
    name: str,
    good: Path,
    bad: Path,
    card: Path,
) -> None:
    """Write the good rows and the bad rows of table `source` as Parquet, and their counts to `card`.

    The card is written last: it says that the two files are whole. A bad row appears once per fault, with line,
    column and reason, never with its values. Raises SourceRefused when an expression does not fit the file.
    """
    try:
        _refuse_changing(con, source)
        skipped = _apply_skips(con, source)
        _cast(con, contract, source)
    except duckdb.ParserException:
        raise SourceRefused(f"{name}: {_not_sql(con, source)}") from None
    except duckdb.BinderException as error:
        raise SourceRefused(f"{name}: {_binder_message(con, error)}") from None
    except duckdb.Error:
        raise SourceRefused(f"{name}: {_blame(con, source)}") from None
    superseded = _find_faults(con, contract, source)
    if superseded:
        skipped["superseded_in_file"] = superseded
    names = ", ".join(quoted(column) for column in contract.column_names)
    copy_to_parquet(
        con,
        f"SELECT {names}, _line FROM typed WHERE _line NOT IN (SELECT line FROM faults) ORDER BY _line",
        good,
    )
    copy_to_parquet(
        con,
        "SELECT * FROM faults UNION ALL SELECT line, NULL, reason, row_hash FROM broken "
        "ORDER BY line, column_name NULLS FIRST, reason",
        bad,
    )
    rows, bad_rows = con.execute(
        "SELECT count(*) + (SELECT count(*) FROM broken), "
        "(SELECT count(DISTINCT line) FROM faults) + (SELECT count(*) FROM broken) FROM typed"
    ).fetchall()[0]
    sizes = [good.stat().st_size, bad.stat().st_size]
    counts = {"rows": rows - bad_rows, "bad_rows": bad_rows, "skipped_rows": skipped}
    write_json(card, {"counts": counts, "bytes": sizes}, durable=False)


def _apply_skips(con: duckdb.DuckDBPyConnection, source: TableSource) -> dict[str, int]:
    """Delete the rows that meet a skip condition; how many, under the first condition that each met."""
    skipped = {}
    for name, condition in source.skip.items():
        before = con.execute("SELECT count(*) FROM source").fetchall()[0][0]
        con.execute(f"DELETE FROM source WHERE coalesce(({condition}), false)")
        skipped[name] = before - con.execute("SELECT count(*) FROM source").fetchall()[0][0]
    return skipped


def _cast(con: duckdb.DuckDBPyConnection, contract: Contract, source: TableSource) -> None:
    """Table `typed`: contract types, NULL where a value does not cast; `_given.<column>`: there was a value to cast.

    For columns that are never to get lost also `_read.<column>`: some cell that the expression reads is not empty.
    """
    mapped = [
        f"({source.columns[c.name]}) AS {quoted(c.name)}" if c.name in source.columns else f"NULL AS {quoted(c.name)}"
        for c in contract.columns
    ]
    watched = [column for column in contract.columns if column.never_lost and column.name in source.columns]
    for column in watched:
        cells = cells_read(con, source.columns[column.name])
        found = " OR ".join(f"nullif(trim(CAST({quoted(cell)} AS VARCHAR)), '') IS NOT NULL" for cell in cells)
        mapped.append(f"({found or 'false'}) AS {_read(column)}")
    query = f"SELECT {', '.join(mapped)}, _line FROM source"
    if len(con.extract_statements(query)) != 1:
        raise duckdb.ParserException("more than one statement")
    described = con.execute(f"DESCRIBE {query}").fetchall()  # in our order; DuckDB keeps its own case of the names
    kinds = {column: row[1] for column, row in zip(contract.column_names, described, strict=False)}
    typed = [f"{_cast_expression(column, kinds[column.name])} AS {quoted(column.name)}" for column in contract.columns]
    typed += [f"{_text(column)} IS NOT NULL AS {_given(column)}" for column in contract.columns]
    typed += [_read(column) for column in watched]
    typed += [f"false AS {_read(column)}" for column in contract.columns if column.never_lost and column not in watched]
    con.execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT {', '.join(typed)}, _line FROM ({query})")


def _text(column: Column) -> str:
    return f"nullif(trim(cast({quoted(column.name)} AS VARCHAR)), '')"


def _given(column: Column) -> str:
    return quoted(f"_given.{column.name}")


def _read(column: Column) -> str:
    return quoted(f"_read.{column.name}")


def _cast_expression(column: Column, kind: str) -> str:
    """SQL that turns the mapped value into the contract's type, NULL where it cannot be."""
    value = quoted(column.name)
    text = _text(column)
    if kind == column.type and column.type != "VARCHAR":
        return value
    if column.type == "VARCHAR":
        return text
    if column.type in ("BIGINT", "INTEGER"):
        number = f"try_cast({text} AS DECIMAL(38,6))"
        return f"CASE WHEN {number} = round({number}) THEN try_cast({number} AS {column.type}) END"
    if column.type == "TIMESTAMP":
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"({value} AT TIME ZONE 'UTC')"
        if kind in ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
            return f"cast({value} AS TIMESTAMP)"
        # texts with an offset are moved to UTC, texts without one are UTC already
        return f"(try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
    if kind.endswith("[]"):
        return f"try_cast({value} AS {column.type})"
    return f"try_cast({text} AS {column.type})"


def _find_faults(con: duckdb.DuckDBPyConnection, contract: Contract, source: TableSource) -> int:
    """Add to `faults` what the contract forbids, then the broken lines; give every fault its row's hash.

    Returns how many rows a later row of the same file and key replaced (`duplicates: last`).
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE faults (line BIGINT, column_name VARCHAR, reason VARCHAR, row_hash VARCHAR)"
    )
    rules = [(column.name, reason, condition) for column in contract.columns for reason, condition in _rules(column)]
    for group in contract.any_of:
        empty = " AND ".join(f"NOT {_given(contract.column(name))}" for name in group)
        rules.append((" or ".join(group), "missing_required", empty))
    rules += contract.forbidden
    cases = ", ".join(
        f"CASE WHEN {condition} THEN {{'column_name': {literal(column)}, 'reason': {literal(reason)}}} END"
        for column, reason, condition in rules
    )
    any_rule = " OR ".join(f"coalesce({condition}, false)" for _, _, condition in rules)
    con.execute(
        f"""
        INSERT INTO faults
        SELECT _line, fault.column_name, fault.reason, NULL
        FROM (SELECT _line, unnest([{cases}]) AS fault FROM typed WHERE {any_rule})
        WHERE fault IS NOT NULL
        """
    )
    superseded = 0
    if contract.key:
        keys = ", ".join(quoted(name) for name in contract.key)
        order = "_line DESC" if source.duplicates == "last" else "_line"
        repeated = (
            f"SELECT _line FROM typed WHERE _line NOT IN (SELECT line FROM faults) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) > 1"
        )
        if source.duplicates == "last":
            superseded = con.execute(f"DELETE FROM typed WHERE _line IN ({repeated})").fetchall()[0][0]
        else:
            con.execute(
                f"INSERT INTO faults SELECT _line, $column, 'duplicate_key', NULL FROM ({repeated})",
                {"column": ", ".join(contract.key)},
            )
    cells = [f"coalesce(CAST(source.{quoted(name)} AS VARCHAR), chr(30))" for name in _columns(con)]
    con.execute(
        f"UPDATE faults SET row_hash = sha256(concat_ws(chr(31), {', '.join(cells)})) "
        "FROM source WHERE source._line = faults.line"
    )
    return superseded


def _rules(column: Column) -> list[tuple[str, str]]:
    """Reason and SQL condition of every rule a column has; the condition holds for values that break it."""
    value = quoted(column.name)
    rules = []
    if column.type != "VARCHAR":
        rules.append((CAST_FAILED[column.type], f"{value} IS NULL AND {_given(column)}"))
    if column.type in ("TIMESTAMP", "DATE"):
        rules.append(("out_of_range", f"{value} < '1900-01-01' OR {value} > '2200-01-01'"))
    if column.never_lost:
        rules.append(("lost_in_mapping", f"NOT {_given(column)} AND {_read(column)}"))
    if column.required:
        rules.append(("missing_required", f"NOT {_given(column)}"))
    if column.minimum is not None:
        rules.append(("below_minimum", f"{value} < {column.minimum}"))
    if column.maximum is not None:
        rules.append(("above_maximum", f"{value} > {column.maximum}"))
    if column.allowed:
        allowed = ", ".join(literal(word) for word in column.allowed)
        rules.append(("not_allowed", f"{value} NOT IN ({allowed})"))
    if column.pattern is not None:
        rules.append(("wrong_format", f"NOT regexp_full_match({value}, {literal(column.pattern)})"))
    return rules


def _columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The file's own columns."""
    return [row[0] for row in con.execute("DESCRIBE source").fetchall() if row[0] != "_line"]


def cells_read(con: duckdb.DuckDBPyConnection, expression: str) -> list[str]:
    """The file's columns that an expression reads, found in DuckDB's own parse of it."""
    names = _names_in(con, expression, "column_names")
    return [name for name in _columns(con) if name.lower() in names]


def _not_sql(con: duckdb.DuckDBPyConnection, source: TableSource) -> str:
    """Which expression is no SQL expression."""
    for kind, expressions in (("skip", source.skip), ("columns", source.columns)):
        for name, expression in expressions.items():
            try:
                is_one = len(con.extract_statements(f"SELECT ({expression})")) == 1
            except duckdb.ParserException:
                is_one = False
            if not is_one:
                return (
                    f"{kind}.{name}: {expression} is not one SQL expression. A column whose name is a word of SQL "
                    "needs double quotes inside single ones: '\"from\"'."
                )
    return "the column expressions of the shop file are not SQL."


def _refuse_changing(con: duckdb.DuckDBPyConnection, source: TableSource) -> None:
    """Raise duckdb.BinderException for an expression whose value differs from run to run."""
    changing = _changing_functions()
    for name, expression in [*source.skip.items(), *source.columns.items()]:
        words = _names_in(con, expression, "column_names") - {column.lower() for column in _columns(con)}
        used = sorted(changing & (_names_in(con, expression, "function_name") | words))
        if used:
            raise duckdb.BinderException(f"{name} uses {used[0]}(), whose value changes from run to run")


@cache
def _changing_functions() -> frozenset[str]:
    with connect() as con:
        found = con.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
        ).fetchall()
    words = ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp")
    return frozenset((*(row[0] for row in found), *words))


def _names_in(con: duckdb.DuckDBPyConnection, expression: str, part: str) -> set[str]:
    """Function names, or last parts of column names, in DuckDB's own parse of an expression; lower case."""
    parsed = con.execute("SELECT json_serialize_sql($query)", {"query": f"SELECT ({expression})"}).fetchall()[0][0]
    names: set[str] = set()
    pending = [json.loads(parsed)]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get(part):
                names.add((node[part][-1] if isinstance(node[part], list) else node[part]).lower())
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return names


def _binder_message(con: duckdb.DuckDBPyConnection, error: duckdb.Error) -> str:
    columns = ", ".join(_columns(con))
    first = str(error).splitlines()[0].removeprefix("Binder Error: ")
    return f"a column expression of the shop file does not fit the file: {first}. The file has: {columns}."


def _blame(con: duckdb.DuckDBPyConnection, source: TableSource) -> str:
    """Which expression fails, without the engine's text: that quotes the value."""
    for kind, expressions in (("skip", source.skip), ("columns", source.columns)):
        for name, expression in expressions.items():
            try:
                con.execute(f"SELECT count(({expression})) FROM source").fetchall()
            except duckdb.Error as error:
                return (
                    f"the expression {kind}.{name} = {json.dumps(expression)} fails on some row "
                    f"({type(error).__name__}). Use try_cast or try_strptime: what they "
                    "turn into nothing is a bad row where the column is required."
                )
    return "the column expressions of the shop file cannot be run together on this file."
