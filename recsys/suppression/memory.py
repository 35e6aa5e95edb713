"""The suppression memory: every suppression that a published night knew, as keyed hashes, for good.

`published/suppressed.parquet`, one row per kind, hash, channel and reason:

| column | what it is |
|---|---|
| kind | what was hashed: email (its mailbox; in old rows the normalised address), phone (normalised) or customer_id |
| hash | its keyed hash |
| channel | for which contact channel, or all |
| reason | as the suppression said |
| occurred_at | since when; of several moments the earliest (UTC) |
| since | the first night that counts with it; what was erased counts earlier on nights that were late |

The memory only grows. Whoever registers anew under another id, or whose suppression is missing from a later export, is
still recognised by the address.
"""

import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys.database import connect, copy_to_parquet, literal
from recsys.errors import StateDamaged, SuppressionKeyUnfit
from recsys.files import read_json, replace_file
from recsys.night import Night
from recsys.suppression.key import KEY_ENV, Key
from recsys.tables import write_parquet

MEMORY = "suppressed.parquet"
ERASED = "erased.parquet"
_FINGERPRINT = "key_fingerprint"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

REMEMBERED_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "channel": pl.String(),
        "reason": pl.String(),
        "occurred_at": pl.Datetime("us"),
    }
)

EMPTY = """
    SELECT * FROM (VALUES (NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, NULL::TIMESTAMP, NULL::DATE))
    AS nothing (kind, hash, channel, reason, occurred_at, since) WHERE false
"""

_MATCHED = """
    WITH carried AS (
        SELECT customer_id, 'customer_id' AS kind, customer_id AS value FROM read_parquet($customers)
        UNION ALL
        SELECT customer_id, 'email', unnest([normalised_email(email), mailbox(normalised_email(email))])
        FROM read_parquet($customers)
        UNION ALL
        SELECT customer_id, 'phone', normalised_phone(phone) FROM read_parquet($customers)
    ), hashed AS (
        SELECT customer_id, kind, keyed(value) AS hash FROM carried WHERE value IS NOT NULL
    )
    SELECT hashed.customer_id, memory.channel, memory.reason, min(memory.occurred_at) AS occurred_at
    FROM hashed
    JOIN read_parquet($memory) AS memory USING (kind, hash)
    WHERE memory.since <= CASE memory.reason WHEN 'erased' THEN $erased_until ELSE $run_date END
    GROUP BY ALL
    ORDER BY ALL
"""

_TONIGHT = """
    WITH customers AS (
        SELECT customer_id, mailbox(normalised_email(email)) AS email, normalised_phone(phone) AS phone
        FROM read_parquet($customers)
    ), said AS (
        SELECT customer_id, mailbox(normalised_email(email)) AS email, normalised_phone(phone) AS phone,
            CASE reason WHEN 'erased' THEN 'all' ELSE channel END AS channel, reason, occurred_at
        FROM read_parquet($suppressions)
        UNION ALL
        SELECT customer_id, NULL, NULL, channel,
            CASE event_type WHEN 'bounce' THEN 'hard_bounce' ELSE event_type END, occurred_at
        FROM read_parquet($engagements) JOIN read_parquet($contacts) USING (message_id)
        WHERE event_type IN ('unsubscribe', 'complaint', 'bounce')
    ), found AS (
        SELECT 'customer_id' AS kind, customer_id AS value, channel, reason, occurred_at FROM said
        UNION ALL SELECT 'email', email, channel, reason, occurred_at FROM said
        UNION ALL SELECT 'phone', phone, channel, reason, occurred_at FROM said
        UNION ALL SELECT 'email', customers.email, CASE reason WHEN 'erased' THEN 'all' ELSE 'email' END, reason,
                occurred_at
            FROM said JOIN customers USING (customer_id) WHERE channel IN ('all', 'email')
        UNION ALL SELECT 'phone', customers.phone, CASE reason WHEN 'erased' THEN 'all' ELSE 'sms' END, reason,
                occurred_at
            FROM said JOIN customers USING (customer_id) WHERE channel IN ('all', 'sms')
        UNION ALL SELECT kind, value, 'ads', reason, occurred_at
            FROM said
            JOIN (SELECT customer_id, 'email' AS kind, email AS value FROM customers
                UNION ALL SELECT customer_id, 'phone', phone FROM customers) USING (customer_id)
            WHERE channel IN ('all', 'ads') AND reason <> 'erased'
    )
    SELECT DISTINCT kind, keyed(value) AS hash, channel, reason, occurred_at, $since::DATE AS since
    FROM found WHERE value IS NOT NULL
"""
"""A suppression that names a customer also speaks for the customer's addresses, each on the channel it leads to and
both on ads, where an audience is matched by either; an erasure does on every channel. Whoever unsubscribes from a
message, complains or bounces, is suppressed on its channel.
"""


def key_of(published: Path) -> Key | None:
    """The key for what is remembered below `published`; None when there is no key and nothing was ever remembered.

    Raises SuppressionKeyUnfit when something is remembered and the key is missing or another one.
    """
    key = Key.from_environment()
    for name in (MEMORY, ERASED):
        path = published / name
        if not path.exists():
            continue
        if key is None:
            raise SuppressionKeyUnfit(
                f"{path}: who is suppressed is remembered here, and cannot be looked up without the key. "
                f"Set {KEY_ENV} to the key of the nights before, then run this again."
            )
        if _fingerprint_of(path) != key.fingerprint:
            raise SuppressionKeyUnfit(
                f"{path}: was written with another key than the one {KEY_ENV} holds now. Set the former key; there is "
                "no way to change it, because the addresses themselves are not kept."
            )
    return key


def _fingerprint_of(path: Path) -> str:
    try:
        return str(pl.read_parquet_metadata(path).get(_FINGERPRINT, ""))
    except (OSError, pl.exceptions.PolarsError):
        raise StateDamaged(
            f"{path}: cannot be read any more. Restore it from a backup; without it suppressions that are remembered "
            "nowhere else would be forgotten."
        ) from None


def days(names: set[str]) -> list[date]:
    """The dates among the names of folders, in order."""
    return sorted(date.fromisoformat(name) for name in names if _DAY.fullmatch(name))


def first_unpublished(published: Path) -> date:
    """The day after the newest published night; the earliest date there is when none was published."""
    found = days({path.parent.name for path in published.glob("audiences/*/*/_SUCCESS")})
    return found[-1] + timedelta(days=1) if found else date.min


def erased_until(night: Night) -> date:
    """Erasures since this date or an earlier one count on the night: its own date, or a later one when it is late.

    A night that runs when later ones are published already knows of erasures after its own date.
    """
    known = read_json(night.inputs).get("erased_until") if night.inputs.is_file() else None
    return max(night.run_date, date.fromisoformat(known)) if known else night.run_date


def match(night: Night, key: Key | None) -> int:
    """Write `raw/remembered_suppressions.parquet`: the night's customers whom the memory knows; how many rows.

    One row per customer, channel and reason. Only what counted on the night's date counts, and of erasures what was
    known when the night took in its files, so that a night that runs again finds the same; without a key, or without
    anything remembered, there are no rows.
    """
    target = night.raw / "remembered_suppressions.parquet"
    memory = night.published / MEMORY
    write_parquet(REMEMBERED_SCHEMA.to_frame(), target)
    if key is None or not memory.exists():
        return 0
    with connect(folders=[night.raw, night.published]) as con:
        key.define(con)
        given = {
            "customers": str(night.raw / "customers.parquet"),
            "memory": str(memory),
            "run_date": night.run_date,
            "erased_until": erased_until(night),
        }
        con.execute(f"CREATE TEMP TABLE matched AS {_MATCHED}", given)
        rows = int(con.execute("SELECT count(*) FROM matched").fetchall()[0][0])
        if rows:
            copy_to_parquet(con, "SELECT * FROM matched ORDER BY ALL", target)
        return rows


def remember(night: Night) -> dict[str, int | str]:
    """Add the night's suppressions to the memory; how many statements about an address or id it holds then.

    They count from the next night on. Running it again changes nothing. Without a key nothing is remembered. Raises
    SuppressionKeyUnfit.
    """
    key = key_of(night.published)
    if key is None:
        return {"remembered": f"nothing, {KEY_ENV} is not set"}
    given = {
        "customers": str(night.raw / "customers.parquet"),
        "suppressions": str(night.raw / "suppressions.parquet"),
        "engagements": str(night.raw / "engagements.parquet"),
        "contacts": str(night.raw / "contacts.parquet"),
        "since": night.run_date + timedelta(days=1),
    }
    return {"remembered": add(night.published, key, _TONIGHT, given, night.raw)}


def add(published: Path, key: Key, rows: str, given: dict[str, object], *folders: Path) -> int:
    """Add the rows of a query, in the memory's columns, to the memory; its rows then."""
    path = published / MEMORY
    known = f"SELECT * FROM read_parquet({literal(str(path))})" if path.exists() else EMPTY
    grown = f"""
        SELECT kind, hash, channel, reason, min(occurred_at) AS occurred_at, min(since) AS since
        FROM (({known}) UNION ALL ({rows})) GROUP BY ALL ORDER BY ALL
    """
    with connect(folders=[published, *folders]) as con:
        key.define(con)
        con.execute(f"CREATE TEMP TABLE grown AS {grown}", given)
        count = int(con.execute("SELECT count(*) FROM grown").fetchall()[0][0])
        marked = f"KV_METADATA {{{_FINGERPRINT}: {literal(key.fingerprint)}}}"
        replace_file(
            path,
            lambda aside: con.execute(
                f"COPY (SELECT * FROM grown ORDER BY ALL) TO {literal(str(aside))} "
                f"(FORMAT parquet, COMPRESSION zstd, {marked})"
            ),
        )
    return count


def add_erased(published: Path, key: Key, hashes: pl.DataFrame, erased_on: date) -> None:
    """Add what was erased (kind, hash) to `published/erased.parquet`; of several dates the earliest is kept."""
    path = published / ERASED
    known = pl.read_parquet(path) if path.exists() else None
    added = hashes.select("kind", "hash", pl.lit(erased_on, pl.Date).alias("erased_on"))
    grown = pl.concat([added] if known is None else [known, added])
    grown = grown.group_by("kind", "hash").agg(pl.col("erased_on").min()).sort("kind", "hash")
    fingerprint = {_FINGERPRINT: key.fingerprint}
    replace_file(path, lambda aside: grown.write_parquet(aside, compression="zstd", metadata=fingerprint))
