"""A finished night of the toy shop, made by hand: for tests of what reads a night (analysts' database, page, summary).

Both channels reach ann and ben. Cat withdrew (no_consent), dan bounced (suppressed), eve's consent ended
(consent_expired), fay's address is none (invalid_address). Everybody has a list: fay's is the popular one,
since she does not allow personalisation.
"""

import shutil
from collections.abc import Iterable
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import polars as pl
import toy

from expectations.columns import TABLES
from recsys.audit import Check, Verdict
from recsys.config import Shop, load_shop
from recsys.database import connect
from recsys.evaluation.stage import TABLE_SCHEMA
from recsys.files import private_folder, sha256_of, write_json
from recsys.ingest.assemble import QUARANTINE_SCHEMA
from recsys.manifest import MANIFEST, SUCCESS, Manifest, PublishedFile
from recsys.night import Night
from recsys.tables import write_parquet

LISTS = {
    "ann": [("mint", "individual"), ("green", "individual"), ("black", "individual"), ("saw", "popular")],
    "ben": [("black", "individual"), ("green", "individual"), ("mint", "individual")],
    "cat": [("black", "individual"), ("mint", "individual")],
    "dan": [("drill", "individual")],
    "eve": [("saw", "individual"), ("drill", "individual")],
    "fay": [("green", "popular"), ("hammer", "popular"), ("black", "popular")],
}
STATUS = {
    "ann": ("exported", "May be mailed."),
    "ben": ("exported", "May be mailed."),
    "cat": ("no_consent", "There is no consent for e-mail marketing."),
    "dan": ("suppressed", "On a suppression list."),
    "eve": ("consent_expired", "The consent has ended."),
    "fay": ("invalid_address", "There is no valid e-mail address."),
}
STAGES = ("ingest", "features", "recommend", "decide", "render", "gate")
EXPORTS = (
    "export.email_file",
    "export.crm_file",
    "export.check_in_email_file",
    "export.check_in_crm_file",
    "export.catalogue",
)

MARTS = """
CREATE SCHEMA core; CREATE SCHEMA features; CREATE SCHEMA marketing;
CREATE TABLE core.dim_customers AS
    SELECT customer_id, email, phone, first_name, last_name, country, language, timezone, birth_year,
        (SELECT count(*) FROM identities AS i WHERE i.customer_id = c.customer_id) AS visitors,
        false AS is_minor, customer_id <> 'fay' AS may_personalise, created_at, updated_at
    FROM customers AS c;
CREATE TABLE core.dim_products AS
    SELECT product_id, name, category, split_part(category, ' > ', 1) AS top_category, brand, currency, url, image_url,
        CASE WHEN NOT in_stock THEN 'not_in_stock' WHEN sensitive THEN 'sensitive' END AS ineligible_reason, price,
        tags, is_active, in_stock, replenishable, sensitive, in_stock AND NOT sensitive AS is_eligible, launched_at
    FROM products;
CREATE TABLE core.fct_interactions AS
    SELECT coalesce(l.customer_id, i.customer_id) AS customer_id, product_id,
        sum(quantity)::BIGINT AS quantity, count(order_id) AS orders, 0::BIGINT AS carts, 0::BIGINT AS wishlists,
        count(event_id) AS views, greatest(sum(quantity), 0.1)::DOUBLE AS weight, sum(quantity) > 0 AS is_bought,
        min(moment) AS first_at, max(moment) AS last_at, max(ordered_at) AS last_ordered_at
    FROM (
        SELECT customer_id, NULL AS visitor_id, product_id, quantity, order_id, NULL AS event_id, ordered_at AS moment,
            ordered_at
        FROM order_lines
        UNION ALL
        SELECT NULL, visitor_id, product_id, 0, NULL, event_id, occurred_at, NULL FROM web_events
    ) AS l LEFT JOIN identities AS i USING (visitor_id)
    GROUP BY ALL;
CREATE TABLE features.customer_features AS
    SELECT customer_id, count(f.product_id) > 0 AS has_history, max(last_ordered_at) AS last_ordered_at
    FROM core.dim_customers LEFT JOIN core.fct_interactions AS f USING (customer_id) GROUP BY ALL;
CREATE TABLE features.customer_category_affinities AS
    SELECT DISTINCT customer_id, top_category AS category, 1 AS rank, 1.0::DOUBLE AS share
    FROM core.fct_interactions JOIN core.dim_products USING (product_id);
CREATE TABLE features.product_popularity AS
    SELECT product_id, count(*) AS buyers, count(*) AS buyers_ever,
        row_number() OVER (ORDER BY count(*) DESC, product_id) AS rank
    FROM core.fct_interactions JOIN core.dim_products USING (product_id) WHERE is_eligible GROUP BY product_id;
CREATE TABLE features.product_topics AS SELECT product_id, lower(category) AS topic FROM products WHERE NOT sensitive;
CREATE TABLE features.customer_topics AS
    SELECT '' AS customer_id, '' AS topic, '' AS choice, now()::TIMESTAMP AS stated_at, 1.0::DOUBLE AS strength,
        false AS is_expired, 0::BIGINT AS products LIMIT 0;
CREATE TABLE features.customer_topic_rules AS
    SELECT '' AS customer_id, '' AS topic, '' AS effect, '' AS because, 1.0::DOUBLE AS factor, 1::INTEGER AS at_most
    LIMIT 0;
CREATE TABLE features.category_rhythms AS
    SELECT DISTINCT lower(category) AS category, 'unknown' AS kind FROM products WHERE NOT sensitive;
CREATE TABLE features.category_successors AS SELECT '' AS category, '' AS next_category, 1::BIGINT AS rank LIMIT 0;
CREATE TABLE features.customer_needs AS SELECT '' AS customer_id, '' AS category, '' AS state LIMIT 0;
CREATE TABLE features.customer_concentration AS SELECT '' AS customer_id, '' AS category, 1.0::DOUBLE AS share LIMIT 0;
CREATE TABLE marketing.customer_contactability AS
    SELECT customer_id, 'email' AS contact_channel, NULL::VARCHAR AS reason, true AS is_contactable,
        NULL::TIMESTAMP AS consent_valid_until
    FROM core.dim_customers;
COMMENT ON TABLE core.dim_customers IS 'Described by dbt.';
COMMENT ON COLUMN core.dim_customers.visitors IS 'Counted by dbt';
"""


def shop(folder: Path, **rows: list[dict[str, object]]) -> Shop:
    """The toy shop's file below `folder`."""
    return toy.write_shop(folder, **rows)


def night_of(folder: Path, run_date: date = toy.RUN_DATE) -> Night:
    return Night(shop(folder), run_date)


def copied(night: Night, folder: Path) -> Night:
    """The same night in a copy of its shop's folder: quicker than building it again."""
    shutil.copytree(night.shop.folder, folder)
    return Night(load_shop(folder / "shop.yaml"), night.run_date)


def build(
    night: Night,
    *,
    until: str = "publish",
    failing: dict[str, str] | None = None,
    lists: dict[str, list[tuple[str, str]]] | None = None,
    error: str = "",
) -> Night:
    """What the stages up to `until` leave behind. `failing` names critical checks that failed, with their detail.

    `error` makes `until` a failed stage.
    """
    wanted = (*STAGES, *EXPORTS, "evaluate", "publish")
    done = wanted[: wanted.index(until) + 1]
    steps = {
        "ingest": ingest,
        "features": features,
        "decide": lambda it: decide(it, lists or LISTS),
        "render": render,
        "gate": lambda it: gate(it, failing or {}),
    } | {name: partial(export, channel=name.removeprefix("export.")) for name in EXPORTS}
    for stage in done:
        if stage in steps and not (error and stage == until and not failing):
            steps[stage](night)
        failed = bool(error) and stage == until
        stage_file(night, stage, status="failed" if failed else "done", error=error if failed else "")
    return night


def evaluate(night: Night) -> None:
    """One score of the lists that were shipped, as the evaluate stage would leave it."""
    scores = pl.DataFrame(
        [(night.run_date, date(2026, 3, 4), 28, "next", "shipped", "everybody", "", "hit_rate", 4, 0.5, 0.25, 0.75)],
        schema=TABLE_SCHEMA,
        orient="row",
    )
    write_parquet(scores, night.evaluation / "scores.parquet")


def stage_file(night: Night, stage: str, *, status: str = "done", error: str = "") -> None:
    counts = {} if error else {"rows": len(stage)}
    write_json(
        night.stages / f"{stage}.json",
        {"stage": stage, "seconds": 1.25, "peak_mib": 210, "status": status, "counts": counts, "error": error},
    )


def ingest(night: Night) -> None:
    toy.write_raw(night)
    bad = pl.DataFrame(
        {
            "table_name": ["order_lines"],
            "file": ["inbox/2026-03-31/order_lines.csv"],
            "line": [14],
            "column_name": ["quantity"],
            "reason": ["not a whole number"],
            "row_hash": ["ab"],
            "source_sha256": [_sha("order_lines")],
        },
        schema=QUARANTINE_SCHEMA,
    )
    write_parquet(bad, night.raw / "quarantine.parquet")
    day = toy.RUN_DATE.isoformat()
    tables = {
        name: {
            "present": name in toy.ROWS,
            "rows": len(toy.ROWS.get(name, [])),
            "files": [
                {
                    "file": f"inbox/{day}/{name}.csv",
                    "sha256": _sha(name),
                    "file_date": day,
                    "rows": len(toy.ROWS[name]),
                    "bad_rows": 1 if name == "order_lines" else 0,
                    "skipped_rows": {"service_code": 2, "gift_wrap": 1} if name == "order_lines" else {},
                    "is_new": True,
                }
            ]
            if name in toy.ROWS
            else [],
        }
        for name in toy.CONTRACTS
    }
    write_json(night.inputs, {"run_date": night.run_date.isoformat(), "tables": tables})


def features(night: Night) -> None:
    night.warehouse.unlink(missing_ok=True)
    with connect(night.warehouse, folders=[night.raw]) as con:
        for name in toy.CONTRACTS:
            con.execute(
                f"CREATE TEMP TABLE {name} AS SELECT * FROM read_parquet($p)",
                {"p": str(night.raw / f"{name}.parquet")},
            )
        con.execute(MARTS)


def decide(night: Night, lists: dict[str, list[tuple[str, str]]]) -> None:
    rows = [
        {
            "run_date": night.run_date,
            "customer_id": customer,
            "rank": rank,
            "product_id": product,
            "source": source,
            "reason": "Because of your teas." if source == "individual" else "Popular now.",
            "reason_kind": "bought" if source == "individual" else "popular",
            "because_product_id": "green" if source == "individual" else None,
            "because_share": 0.614 if source == "individual" else None,
            "model_version": f"als-{night.run_date}",
            "score": 1.0 / rank,
        }
        for customer, items in sorted(lists.items())
        for rank, (product, source) in enumerate(items, start=1)
    ]
    types = {"rank": pl.Int32(), "because_product_id": pl.String(), "because_share": pl.Float64()}
    listed = pl.DataFrame(rows, schema_overrides=types)
    undecided = ("reason", "reason_kind", "because_product_id", "because_share")
    write_parquet(listed.drop(undecided), night.recommendations)
    write_parquet(listed, night.decisions / "fct_recommendations.parquet")
    decided = pl.DataFrame(
        [
            {
                "run_date": night.run_date,
                "customer_id": customer,
                "channel": channel.name,
                "contact_channel": channel.contact_channel.value,
                "status": status,
                "reason": reason,
                "items": min(len(lists[customer]), channel.slots),
            }
            for customer, (status, reason) in sorted(STATUS.items())
            for channel in sorted(night.shop.channels, key=lambda it: it.name)
        ]
    )
    write_parquet(decided, night.decisions / "fct_decisions.parquet")
    left = [
        ("zoe", "email_file", "email", "zoe@example.com", "unknown_customer"),
        ("cat", "email_file", "email", "cat@example.com", "no_consent"),
        ("cat", "crm_file", "email", None, "no_consent"),
    ]
    removals = pl.DataFrame(
        [(night.run_date, *row[:4], night.run_date - timedelta(days=1), row[4]) for row in left],
        schema=dict.fromkeys(TABLES["fct_removals"], pl.String) | {"run_date": pl.Date, "left_since": pl.Date},
        orient="row",
    )
    write_parquet(removals, night.decisions / "fct_removals.parquet")
    asked = [
        ("ann", "email_file", 1, "tea > green", "aged", "You told us that you are interested in green."),
        ("ann", "email_file", 2, "tools", "finished", "It looks as if you are done with tools."),
        ("ben", "crm_file", 1, "tea", "narrow", "Most of what we showed you lately was about tea."),
    ]
    check_ins = pl.DataFrame(
        [(night.run_date, *row[:2], "email", *row[2:]) for row in asked],
        schema=dict.fromkeys(TABLES["fct_check_ins"], pl.String) | {"run_date": pl.Date, "rank": pl.Int32},
        orient="row",
    )
    write_parquet(check_ins, night.decisions / "fct_check_ins.parquet")


def render(night: Night) -> None:
    for name in ("email_file", "crm_file", "check_in_email_file", "check_in_crm_file", "catalogue"):
        path = night.files / name / f"{name}_{night.run_date:%Y%m%d}.csv"
        private_folder(path.parent)
        body = "product_id\nmint\n" if name == "catalogue" else "customer_id\nann\nben\n"
        path.write_text(body)


def gate(night: Night, failing: dict[str, str]) -> None:
    checks = [
        Check(suite="recommendations", check="ranks have no gaps", severity="critical", passed=True, detail="0 gaps"),
        Check(suite="email_file", check="volume is near earlier nights", severity="warning", passed=False, detail="2"),
        *(Check(suite="permissions", check=c, severity="critical", passed=False, detail=d) for c, d in failing.items()),
    ]
    Verdict(run_date=night.run_date, checks=tuple(checks), files=_hashes(night, _finished(night))).write(night.verdict)


def export(night: Night, channel: str) -> None:
    """Publish one channel's file by hand: file, manifest, _SUCCESS."""
    made = next((night.files / channel).iterdir())
    folder = private_folder(night.audience(channel))
    target = folder / made.name
    target.write_bytes(made.read_bytes())
    manifest = Manifest(
        channel=channel,
        run_date=night.run_date,
        model_version=f"als-{night.run_date}",
        code_version="0",
        checks_passed=1,
        files=(
            PublishedFile(
                file=made.name,
                rows=len(made.read_text().splitlines()) - 1,
                bytes=made.stat().st_size,
                sha256=sha256_of(made),
                columns=tuple(made.read_text().splitlines()[0].split(",")),
            ),
        ),
    )
    (folder / MANIFEST).write_bytes(manifest.content)
    (folder / SUCCESS).write_text(sha256_of(folder / MANIFEST) + "\n")


def _finished(night: Night) -> Iterable[Path]:
    return [night.recommendations, *sorted(night.decisions.glob("*.parquet")), *sorted(night.files.glob("*/*.csv"))]


def _hashes(night: Night, paths: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in paths}


def _sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()
