"""The decide stage: who gets what over which channel, who does not, and why; every customer accounted for."""

import shutil

import duckdb

from recsys import dbt, features
from recsys.database import connect, copy_to_parquet, small_frame
from recsys.errors import StageInputMissing, SumsDoNotReconcile
from recsys.night import Night
from recsys.vocabulary import Status

HANDED_ON: dict[str, str] = {
    "fct_recommendations": "SELECT * FROM marketing.fct_recommendations ORDER BY customer_id, rank",
    "fct_decisions": "SELECT * FROM marketing.fct_decisions ORDER BY customer_id, channel",
    "sync_email_file__recipients": "SELECT * FROM exports.sync_email_file__recipients ORDER BY channel, customer_id",
    "sync_email_file__items": "SELECT * FROM exports.sync_email_file__items ORDER BY channel, customer_id, rank",
    "sync_crm_file__recipients": "SELECT * FROM exports.sync_crm_file__recipients ORDER BY channel, customer_id",
    "sync_crm_file__items": "SELECT * FROM exports.sync_crm_file__items ORDER BY channel, customer_id, rank",
    "fct_removals": "SELECT * FROM marketing.fct_removals ORDER BY customer_id, channel, address NULLS FIRST",
    "sync_email_file__removals": (
        "SELECT * FROM exports.sync_email_file__removals ORDER BY channel, customer_id, email NULLS FIRST"
    ),
    "sync_crm_file__removals": "SELECT * FROM exports.sync_crm_file__removals ORDER BY channel, customer_id",
    "sync_tool__recipients": "SELECT * FROM exports.sync_tool__recipients ORDER BY channel, customer_id",
    "sync_tool__items": "SELECT * FROM exports.sync_tool__items ORDER BY channel, customer_id, rank",
    "sync_tool__removals": (
        "SELECT * FROM exports.sync_tool__removals ORDER BY channel, customer_id, email NULLS FIRST, phone NULLS FIRST"
    ),
    "sync_tool__held": (
        "SELECT * FROM exports.sync_tool__held "
        "ORDER BY channel, customer_id, row_sha, email NULLS FIRST, phone NULLS FIRST"
    ),
    "fct_check_ins": "SELECT * FROM marketing.fct_check_ins ORDER BY customer_id, rank",
    "sync_check_in__recipients": "SELECT * FROM exports.sync_check_in__recipients ORDER BY channel, customer_id",
    "sync_check_in__topics": "SELECT * FROM exports.sync_check_in__topics ORDER BY channel, customer_id, rank",
    "sync_catalogue__products": "SELECT * FROM exports.sync_catalogue__products ORDER BY product_id",
}
"""File below `decisions/` -> the query that fills it, ordered by grain: the same rows are the same bytes."""

_EXPECTED_DECISIONS = """
    SELECT
        (SELECT count(*) FROM staging.stg_shop__customers) AS customers,
        (SELECT count(*) FROM staging.stg_night__channels) AS channels,
        (SELECT count(*) FROM marketing.fct_decisions) AS decisions,
        (SELECT count(*) FROM (SELECT DISTINCT customer_id, channel FROM marketing.fct_decisions)) AS distinct_decisions
"""

_PER_CHANNEL = """
    WITH recipients AS (
        SELECT channel, customer_id FROM exports.sync_email_file__recipients
        UNION ALL
        SELECT channel, customer_id FROM exports.sync_crm_file__recipients
        UNION ALL
        SELECT channel, customer_id FROM exports.sync_tool__recipients
    ),
    items AS (
        SELECT channel, customer_id, count(*) AS items FROM exports.sync_email_file__items GROUP BY ALL
        UNION ALL
        SELECT channel, customer_id, count(*) AS items FROM exports.sync_crm_file__items GROUP BY ALL
        UNION ALL
        SELECT channel, customer_id, count(*) AS items FROM exports.sync_tool__items GROUP BY ALL
    ),
    exported AS (
        SELECT channel, customer_id, items FROM marketing.fct_decisions WHERE status = 'exported'
    ),
    everyone AS (
        SELECT
            coalesce(exported.channel, recipients.channel, items.channel) AS channel,
            exported.customer_id IS NOT NULL AS is_exported,
            recipients.customer_id IS NOT NULL AS is_recipient,
            coalesce(exported.items, 0) AS decided_items,
            coalesce(items.items, 0) AS listed_items
        FROM exported
        FULL JOIN recipients USING (channel, customer_id)
        FULL JOIN items USING (channel, customer_id)
    )
    SELECT
        channel,
        count(*) FILTER (is_exported) AS exported,
        count(*) FILTER (is_recipient) AS recipients,
        count(*) FILTER (is_exported IS DISTINCT FROM is_recipient) AS unmatched,
        count(*) FILTER (is_recipient AND listed_items = 0) AS without_items,
        count(*) FILTER (decided_items <> listed_items) AS with_other_items
    FROM everyone
    GROUP BY channel
    ORDER BY channel
"""

_REMOVALS = """
    WITH past AS (
        SELECT channel, customer_id, address FROM intermediate.int_recipients__named
    ),
    tonight AS (
        SELECT channel, customer_id, email AS address FROM exports.sync_email_file__recipients
        UNION ALL
        SELECT channel, customer_id, NULL FROM exports.sync_crm_file__recipients
        UNION ALL
        SELECT channel, customer_id, CASE address_kind WHEN 'email' THEN email WHEN 'phone' THEN phone END
        FROM exports.sync_tool__recipients JOIN staging.stg_night__channels USING (channel)
    ),
    removals AS (
        SELECT channel, customer_id, email AS address FROM exports.sync_email_file__removals
        UNION ALL
        SELECT channel, customer_id, NULL FROM exports.sync_crm_file__removals
        UNION ALL
        SELECT channel, customer_id, coalesce(email, phone) FROM exports.sync_tool__removals
    ),
    stayed AS (
        SELECT past.channel, count(*) AS rows FROM past
        JOIN tonight ON past.channel = tonight.channel AND past.customer_id = tonight.customer_id
            AND coalesce(past.address = tonight.address, true)
        GROUP BY past.channel
    ),
    removed AS (
        SELECT past.channel, count(*) AS rows FROM past
        JOIN removals ON past.channel = removals.channel AND past.customer_id = removals.customer_id
            AND past.address IS NOT DISTINCT FROM removals.address
        GROUP BY past.channel
    )
    SELECT
        channels.channel,
        (SELECT count(*) FROM past WHERE past.channel = channels.channel) AS past,
        coalesce(stayed.rows, 0) AS stayed,
        coalesce(removed.rows, 0) AS removed,
        (SELECT count(*) FROM removals WHERE removals.channel = channels.channel) AS listed,
        (SELECT count(*) FROM marketing.fct_removals AS decided WHERE decided.channel = channels.channel) AS decided
    FROM staging.stg_night__channels AS channels
    LEFT JOIN stayed USING (channel)
    LEFT JOIN removed USING (channel)
    ORDER BY channels.channel
"""

_TOTALS = """
    SELECT
        (SELECT count(*) FROM marketing.fct_recommendations) AS recommendations,
        (SELECT count(*) FROM marketing.fct_decisions) AS decisions
"""

_STATUSES = """
    SELECT channels.channel, decisions.status, count(decisions.customer_id) AS customers
    FROM staging.stg_night__channels AS channels
    LEFT JOIN marketing.fct_decisions AS decisions USING (channel)
    GROUP BY ALL
    ORDER BY ALL
"""


def run(night: Night) -> dict[str, int | str]:
    """Build the models tagged `decide` into the night's database, reconcile, and write `decisions/*.parquet`.

    Returns counts of recommendations and decisions, and per channel and status of customers: `email_file.exported`,
    always there, and `email_file.no_consent` and so on where there are any; `email_file.removed` counts who was in
    the channel's last file and is not in tonight's. What an earlier attempt left in `decisions/` is removed first.
    Raises StageInputMissing when an earlier stage has not run, FeaturesFailed when a model or a test fails,
    SumsDoNotReconcile with the numbers.
    """
    finished = [night.features / f"{name}.parquet" for name in features.HANDED_ON]
    for path in (night.warehouse, *finished):
        if not path.is_file():
            raise StageInputMissing(f"{path} not found. Run the features stage first.")
    for path in (night.recommendations, night.reasons):
        if not path.is_file():
            raise StageInputMissing(f"{path} not found. Run the recommend stage first.")
    shutil.rmtree(night.decisions, ignore_errors=True)
    dbt.build(night, "decide")
    with connect(night.warehouse, read_only=True) as con:
        reconcile(con)
        for name, query in HANDED_ON.items():
            copy_to_parquet(con, query, night.decisions / f"{name}.parquet")
        return _counts(con)


def reconcile(con: duckdb.DuckDBPyConnection) -> None:
    """Check that everyone is accounted for.

    One decision per customer and channel; per channel as many recipients as exported decisions, the same people; every
    recipient with the items that were decided on, at least one; whoever was in the channel's last file stays or is
    removed. Raises SumsDoNotReconcile with the numbers.
    """
    faults = []
    totals = small_frame(con, _EXPECTED_DECISIONS).row(0, named=True)
    wanted = totals["customers"] * totals["channels"]
    if not wanted == totals["decisions"] == totals["distinct_decisions"]:
        faults.append(
            f"{totals['customers']:,} customers x {totals['channels']} channels = {wanted:,}, but there are "
            f"{totals['decisions']:,} decisions, {totals['distinct_decisions']:,} of them distinct"
        )
    for row in small_frame(con, _PER_CHANNEL).iter_rows(named=True):
        if row["unmatched"] or row["exported"] != row["recipients"]:
            faults.append(
                f"channel {row['channel']}: {row['exported']:,} exported decisions, {row['recipients']:,} recipients, "
                f"{row['unmatched']:,} without a counterpart"
            )
        if row["without_items"] or row["with_other_items"]:
            faults.append(
                f"channel {row['channel']}: {row['without_items']:,} recipients without products, "
                f"{row['with_other_items']:,} with another number of products than decided"
            )
    for row in small_frame(con, _REMOVALS).iter_rows(named=True):
        if row["past"] != row["stayed"] + row["removed"] or not row["removed"] == row["listed"] == row["decided"]:
            faults.append(
                f"channel {row['channel']}: of {row['past']:,} past recipients {row['stayed']:,} stayed and "
                f"{row['removed']:,} are removed; {row['decided']:,} removals were decided, {row['listed']:,} are to "
                "leave"
            )
    if faults:
        raise SumsDoNotReconcile(
            "decisions and exports do not add up:\n  "
            + "\n  ".join(faults)
            + "\nNothing was handed on. Look into marketing.fct_decisions and schema exports of the night's database."
        )


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int | str]:
    counts: dict[str, int | str] = dict(small_frame(con, _TOTALS).row(0, named=True))
    for channel, status, customers in small_frame(con, _STATUSES).iter_rows():
        counts.setdefault(f"{channel}.{Status.EXPORTED}", 0)
        if status is not None:
            counts[f"{channel}.{status}"] = int(customers)
    for row in small_frame(con, _REMOVALS).iter_rows(named=True):
        counts[f"{row['channel']}.removed"] = int(row["removed"])
    return counts
