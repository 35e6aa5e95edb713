"""Who is to be erased: everything in the landed rows that identifies the people of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from recsys.channels.hashing import define_hash_forms
from recsys.config import Shop
from recsys.database import connect, literal
from recsys.suppression.key import Key

FARTHEST = 100
"""Links between ids are followed this far, as by the dbt project."""

MAILBOX = "mailbox"
"""Kind of what every spelling of an e-mail address has in common: suppressed, and not looked for in data."""

_LINKS = ("identities", "web_events", "order_lines")
_MOMENTS = {"identities": "seen_at", "web_events": "occurred_at", "order_lines": "ordered_at"}


@dataclass(frozen=True)
class People:
    """The people of a request."""

    identifiers: pl.DataFrame
    """person (keyed hash of the id that was asked for), kind, hash; of kind hashed_address what platforms are given."""
    unknown: tuple[int, ...]
    """Places in the request, from 1, of ids that nothing is known about."""


def find(shop: Shop, key: Key, customers: Sequence[str], erased: frozenset[str]) -> People:
    """Look up the identifiers of customers in the landed rows of all source files, whatever night read them.

    They are the id itself, every other id that leads to it over the fewest links (as in the dbt project), e-mail
    addresses and phone numbers in every version of their rows, plain and as advertising platforms are given them, and
    their orders and messages. `erased` are hashes of
    ids that were erased before, which count as known.
    """
    landed = shop.root / "landed"
    hashes = [key.hash(customer) for customer in customers]
    with connect(folders=[landed]) as con:
        key.define(con)
        define_hash_forms(con)
        con.execute("CREATE TEMP TABLE asked (person VARCHAR, id VARCHAR)")
        con.executemany("INSERT INTO asked VALUES (?, ?)", list(map(list, zip(hashes, customers, strict=True))))
        _find_ids(con, landed)
        columns = "person, kind, value"
        con.execute("CREATE TEMP TABLE found AS SELECT DISTINCT person, 'customer_id' AS kind, id AS value FROM ids")
        for table, kind, value in (
            ("customers", "email", "normalised_email(email)"),
            ("customers", MAILBOX, "mailbox(normalised_email(email))"),
            ("customers", "phone", "normalised_phone(phone)"),
            *(
                ("customers", "hashed_address", f"sha256({platform}_{address}(normalised_{address}({address})))")
                for platform in ("google", "meta")
                for address in ("email", "phone")
            ),
            ("contacts", "message_id", "message_id"),
            ("order_lines", "order_id", "order_id"),
        ):
            by = ("customer_id", "visitor_id") if table == "order_lines" else ("customer_id",)
            for name in by:
                con.execute(
                    f"INSERT INTO found SELECT DISTINCT ids.person, {literal(kind)}, {value} "
                    f"FROM {_rows(landed, table)} AS rows JOIN ids ON rows.{name} = ids.id"
                )
        known = con.execute(
            f"SELECT DISTINCT id FROM asked WHERE id IN (SELECT customer_id FROM {_rows(landed, 'customers')})"
        ).fetchall()
        linked = con.execute("SELECT DISTINCT person FROM found WHERE kind <> 'customer_id'").fetchall()
        rows = con.execute(
            f"SELECT DISTINCT person, kind, keyed(value) AS hash FROM (SELECT DISTINCT {columns} FROM found "
            "WHERE value IS NOT NULL) ORDER BY ALL"
        ).fetchall()
    names, persons = {row[0] for row in known}, {row[0] for row in linked}
    unknown = tuple(
        place
        for place, (customer, person) in enumerate(zip(customers, hashes, strict=True), start=1)
        if customer not in names and person not in persons and person not in erased
    )
    identifiers = pl.DataFrame(rows, schema=["person", "kind", "hash"], orient="row")
    return People(identifiers, unknown)


def _find_ids(con: duckdb.DuckDBPyConnection, landed: Path) -> None:
    """Table `ids` (person, id): the ids asked for, and unknown ids that lead to them sooner than to anybody else."""
    union = " UNION ALL ".join(
        f"SELECT visitor_id, customer_id, {_MOMENTS[table]} AS seen_at FROM {_rows(landed, table)}" for table in _LINKS
    )
    con.execute(
        f"""
        CREATE TEMP TABLE known AS
        SELECT DISTINCT customer_id AS id FROM {_rows(landed, "customers")} UNION SELECT id FROM asked
        """
    )
    con.execute(
        f"""
        CREATE TEMP TABLE links AS
        WITH seen AS (
            SELECT visitor_id, customer_id, max(seen_at) AS seen_at FROM ({union})
            WHERE visitor_id IS NOT NULL AND customer_id IS NOT NULL AND visitor_id <> customer_id GROUP BY ALL
        ), both_ways AS (
            SELECT visitor_id AS from_id, customer_id AS to_id, seen_at FROM seen
            UNION ALL SELECT customer_id, visitor_id, seen_at FROM seen
        )
        SELECT from_id, to_id, max(seen_at) AS seen_at FROM both_ways
        WHERE from_id NOT IN (SELECT id FROM known) GROUP BY ALL
        """
    )
    con.execute("CREATE TEMP TABLE near AS SELECT id, 0 AS step FROM asked")
    _repeat(
        con,
        "INSERT INTO near SELECT DISTINCT from_id, $step FROM links JOIN near ON to_id = near.id AND step = $step - 1 "
        "WHERE from_id NOT IN (SELECT id FROM near)",
    )
    con.execute("CREATE TEMP TABLE owned AS SELECT id, id AS owner, 0 AS step FROM known")
    _repeat(
        con,
        """
        INSERT INTO owned SELECT from_id, owner, $step FROM links JOIN owned ON to_id = owned.id AND step = $step - 1
        WHERE from_id IN (SELECT id FROM near) AND from_id NOT IN (SELECT id FROM owned)
        QUALIFY row_number() OVER (PARTITION BY from_id ORDER BY seen_at DESC, owner) = 1
        """,
    )
    con.execute("CREATE TEMP TABLE ids AS SELECT DISTINCT person, owned.id FROM owned JOIN asked ON owner = asked.id")


def _repeat(con: duckdb.DuckDBPyConnection, insert: str) -> None:
    """Insert one step further out at a time, until nothing is added."""
    for step in range(1, FARTHEST + 1):
        if not con.execute(insert, {"step": step}).fetchall()[0][0]:
            return


def _rows(landed: Path, table: str) -> str:
    """The good rows of every landed file of a table; without any, a table of the same columns and no rows."""
    paths = sorted(path for path in (landed / table).glob("*.parquet") if not path.name.endswith(".bad.parquet"))
    if not paths:
        types = {name: "TIMESTAMP" if name.endswith("_at") else "VARCHAR" for name in _COLUMNS[table]}
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in types.items())
        return f"(SELECT {columns} WHERE false)"
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], union_by_name = true)"


_COLUMNS = {
    "customers": ("customer_id", "email", "phone"),
    "contacts": ("customer_id", "message_id"),
    "order_lines": ("customer_id", "visitor_id", "order_id", "ordered_at"),
    "web_events": ("customer_id", "visitor_id", "occurred_at"),
    "identities": ("customer_id", "visitor_id", "seen_at"),
}
