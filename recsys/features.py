"""The features stage: dbt turns raw tables into facts about customers and products; the model is handed its inputs."""

import logging
import re
import shutil
from collections.abc import Callable

from recsys import dbt
from recsys.contracts import CONTRACTS
from recsys.database import connect, copy_to_parquet, small_frame
from recsys.errors import StageInputMissing
from recsys.night import Night

log = logging.getLogger("recsys")

HANDED_ON: dict[str, str] = {
    "interactions": """
        SELECT customer_id, product_id, weight, is_bought, is_due
        FROM core.fct_interactions
        LEFT JOIN intermediate.int_replenishments__timed USING (customer_id, product_id)
        ORDER BY customer_id, product_id
    """,
    "events": """
        SELECT customer_id, product_id, order_id, kind, quantity, unit_price, known_at AS occurred_at
        FROM intermediate.int_interactions__weighted
        ORDER BY customer_id, product_id, occurred_at, kind, order_id, quantity
    """,
    "products": """
        SELECT
            product_id, name, category, is_eligible, replenishable, sensitive,
            lower(top_category) AS top_category, nullif(lower(trim(brand)), '') AS brand
        FROM core.dim_products ORDER BY product_id
    """,
    "customers": """
        SELECT customer_id, may_personalise, context
        FROM core.dim_customers
        LEFT JOIN (SELECT DISTINCT country AS context FROM intermediate.int_popularity__localised) ON country = context
        WHERE NOT is_minor ORDER BY customer_id
    """,
    "customer_features": "SELECT * FROM features.customer_features ORDER BY customer_id",
    "popularity": "SELECT product_id, buyers, buyers_ever, rank FROM features.product_popularity ORDER BY rank",
    "popularity_by_country": """
        SELECT country AS context, product_id, rank FROM intermediate.int_popularity__localised ORDER BY country, rank
    """,
    "product_topics": "SELECT product_id, topic FROM features.product_topics ORDER BY product_id, topic",
    "due_products": """
        SELECT customer_id, product_id, category AS topic, needs.due_lift AS factor, 'due' AS because
        FROM intermediate.int_replenishments__timed, staging.stg_night__needs AS needs
        WHERE is_due AND NOT is_lapsed ORDER BY customer_id, product_id
    """,
    "rested_products": """
        SELECT customer_id, product_id FROM intermediate.int_items__rested ORDER BY customer_id, product_id
    """,
    "topic_rules": """
        SELECT customer_id, topic, effect, factor, at_most, because
        FROM features.customer_topic_rules ORDER BY customer_id, topic, effect, because
    """,
}
"""File below `features/` -> the query that fills it, in a total order: the same rows are the same bytes."""

_MODELS = sorted({model for query in HANDED_ON.values() for model in re.findall(r"(?:FROM|JOIN) \w+\.(\w+)", query)})

_COUNTS = """
    SELECT
        (SELECT count(*) FROM core.dim_customers) AS customers,
        (SELECT count(*) FROM core.dim_customers WHERE may_personalise) AS may_personalise,
        (SELECT count(*) FROM core.dim_products) AS products,
        (SELECT count(*) FROM core.dim_products WHERE is_eligible) AS eligible_products,
        (SELECT count(*) FROM core.fct_interactions) AS interactions,
        (SELECT count(*) FROM features.customer_features WHERE has_history) AS customers_with_history,
        (SELECT count(*) FROM intermediate.int_visitors__resolved) AS visitors_resolved,
        (SELECT count(*) FROM features.customer_topics) AS choices,
        (SELECT count(*) FROM features.customer_topics WHERE products = 0) AS choices_without_product,
        (SELECT count(*) FROM staging.stg_shop__suppressions) AS suppressions,
        (SELECT count(*) FROM intermediate.int_suppressions__unmatched) AS suppressions_of_nobody,
        (SELECT count(*) FROM intermediate.int_engagements__suppressed) AS objecting_reactions,
        (
            SELECT count(*) FROM intermediate.int_engagements__suppressed WHERE customer_id IS NULL
        ) AS reactions_to_unknown_messages
"""


def run(night: Night) -> dict[str, int | str]:
    """Build the night's database anew, models tagged `features`, and write `features/*.parquet`.

    What an earlier attempt left is removed first. Returns counts of customers, products, interactions, of ids
    resolved to a customer, of choices about topics, and of suppressions and reactions, with those that lead to
    nothing or nobody: many of them are a warning in the log. Raises StageInputMissing when ingest has not run,
    FeaturesFailed when a model or a test fails.
    """
    made = ("settings", "channels", "needs", "remembered_suppressions")
    needed = [night.raw / f"{name}.parquet" for name in (*CONTRACTS, *made)]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise StageInputMissing(f"{night.raw}: {', '.join(missing)} not found. Run the ingest stage first.")
    _make(night, lambda: dbt.build(night, "features"))
    with connect(night.warehouse, read_only=True) as con:
        counts = {name: int(count) for name, count in small_frame(con, _COUNTS).row(0, named=True).items()}
    if counts["choices_without_product"]:
        log.warning(
            "features: %s of %s choices are about topics that no eligible product has",
            f"{counts['choices_without_product']:,}",
            f"{counts['choices']:,}",
        )
    for warning in unheard(night, counts):
        log.warning("features: %s", warning)
    return dict(counts)


def derive(night: Night) -> None:
    """Write `features/*.parquet` of a night whose raw tables were checked before; nothing is tested, nothing counted.

    What an earlier attempt left is removed first. Raises FeaturesFailed when a model fails.
    """
    _make(night, lambda: dbt.run(night, "run", "--select", *(f"+{model}" for model in _MODELS)))


def _make(night: Night, build: Callable[[], object]) -> None:
    shutil.rmtree(night.features, ignore_errors=True)
    night.warehouse.unlink(missing_ok=True)
    night.warehouse.with_name(f"{night.warehouse.name}.wal").unlink(missing_ok=True)
    build()
    with connect(night.warehouse, read_only=True) as con:
        for name, query in HANDED_ON.items():
            copy_to_parquet(con, query, night.features / f"{name}.parquet")


def unheard(night: Night, counts: dict[str, int]) -> list[str]:
    """What customers may have said without being heard: too many suppressions that lead to nobody, and reactions to
    messages that nobody knows. Sentences with counts; none when all is well.
    """
    said = []
    lost, of = counts["suppressions_of_nobody"], counts["suppressions"]
    if lost > night.shop.permission.max_share_of_nobody * of:
        said.append(
            f"{lost:,} of {of:,} suppressions match no customer by id, e-mail address or phone number. "
            "Are the columns of suppressions mapped to the right ones?"
        )
    lost, of = counts["reactions_to_unknown_messages"], counts["objecting_reactions"]
    if lost:
        said.append(
            f"{lost:,} of {of:,} unsubscribes, complaints and bounces react to messages that are not in contacts, so "
            "nobody knows who is meant. Deliver those contacts, or the people as suppressions."
        )
    return said
