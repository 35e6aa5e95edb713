"""The features stage: dbt turns raw tables into facts about customers and products; the model is handed its inputs."""

import shutil

from recsys import dbt
from recsys.contracts import CONTRACTS
from recsys.database import connect, copy_to_parquet, small_frame
from recsys.errors import StageInputMissing
from recsys.night import Night

HANDED_ON: dict[str, str] = {
    "interactions": """
        SELECT customer_id, product_id, weight, is_bought
        FROM core.fct_interactions ORDER BY customer_id, product_id
    """,
    "products": """
        SELECT product_id, name, is_eligible, replenishable
        FROM core.dim_products ORDER BY product_id
    """,
    "customers": "SELECT customer_id, may_personalise FROM core.dim_customers WHERE NOT is_minor ORDER BY customer_id",
    "popularity": "SELECT product_id, rank FROM features.product_popularity ORDER BY rank",
}
"""File below `features/` -> the query that fills it, in a total order: the same rows are the same bytes."""

_COUNTS = """
    SELECT
        (SELECT count(*) FROM core.dim_customers) AS customers,
        (SELECT count(*) FROM core.dim_customers WHERE may_personalise) AS may_personalise,
        (SELECT count(*) FROM core.dim_products) AS products,
        (SELECT count(*) FROM core.dim_products WHERE is_eligible) AS eligible_products,
        (SELECT count(*) FROM core.fct_interactions) AS interactions,
        (SELECT count(*) FROM features.customer_features WHERE has_history) AS customers_with_history,
        (SELECT count(*) FROM intermediate.int_visitors__resolved) AS visitors_resolved
"""


def run(night: Night) -> dict[str, int | str]:
    """Build the night's database anew, models tagged `features`, and write `features/*.parquet`.

    What an earlier attempt left is removed first. Returns counts of customers, products, interactions and of ids
    resolved to a customer. Raises StageInputMissing when
    ingest has not run, FeaturesFailed when a model or a test fails.
    """
    needed = [night.raw / f"{name}.parquet" for name in (*CONTRACTS, "settings", "channels", "remembered_suppressions")]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise StageInputMissing(f"{night.raw}: {', '.join(missing)} not found. Run the ingest stage first.")
    shutil.rmtree(night.features, ignore_errors=True)
    night.warehouse.unlink(missing_ok=True)
    night.warehouse.with_name(f"{night.warehouse.name}.wal").unlink(missing_ok=True)
    dbt.build(night, "features")
    with connect(night.warehouse, read_only=True) as con:
        for name, query in HANDED_ON.items():
            copy_to_parquet(con, query, night.features / f"{name}.parquet")
        counts = small_frame(con, _COUNTS).row(0, named=True)
    return {name: int(count) for name, count in counts.items()}
