"""The marts of the last night, copied from the night's warehouse into the analysts' database under their own names.

A column's comment is dbt's description where the warehouse carries one, and otherwise the sentence declared here.
"""

from dataclasses import dataclass

import duckdb

from recsys.contracts import CONTRACTS
from recsys.database import literal, quoted
from recsys.errors import StageInputMissing
from recsys.night import Night

_OF_CUSTOMERS = {column.name: column.description for column in CONTRACTS["customers"].columns}
_OF_PRODUCTS = {column.name: column.description for column in CONTRACTS["products"].columns}
_CUSTOMER = {"customer_id": _OF_CUSTOMERS["customer_id"]}
_PRODUCT = {"product_id": _OF_PRODUCTS["product_id"]}


@dataclass(frozen=True)
class Mart:
    """One mart: where it lies in the warehouse, its key (a total order), and sentences for its columns."""

    schema: str
    name: str
    comment: str
    key: tuple[str, ...]
    columns: dict[str, str]


MARTS: tuple[Mart, ...] = (
    Mart(
        "core",
        "dim_customers",
        "One row per known customer.",
        ("customer_id",),
        _OF_CUSTOMERS
        | {
            "visitors": "Visitor ids that were resolved to this customer",
            "is_minor": "May be younger than the shop writes to; nothing they do is used",
            "may_personalise": "What they do may be used; everybody else gets the popular list",
        },
    ),
    Mart(
        "core",
        "dim_products",
        "One row per product.",
        ("product_id",),
        _OF_PRODUCTS
        | {
            "top_category": "First part of the category path",
            "ineligible_reason": "Why it is not recommended: not_active, not_in_stock, sensitive; null when it may be",
            "is_eligible": "May be recommended",
        },
    ),
    Mart(
        "core",
        "fct_interactions",
        "One row per customer and product that had to do with each other.",
        ("customer_id", "product_id"),
        _CUSTOMER
        | _PRODUCT
        | {
            "quantity": "Bought, net of returns",
            "orders": "Orders with it",
            "carts": "Times put into a cart",
            "wishlists": "Times put on a wishlist",
            "views": "Times viewed",
            "weight": "What the model reads: kinds of interaction, weighted and aged",
            "is_bought": "Net quantity is above zero",
            "first_at": "First interaction (UTC)",
            "last_at": "Last interaction (UTC)",
            "last_ordered_at": "Last order (UTC); null when never ordered",
        },
    ),
    Mart(
        "features",
        "customer_features",
        "One row per customer who may be personalised: how recently, how often, how much. Nothing sensitive counts.",
        ("customer_id",),
        _CUSTOMER
        | {
            "orders": "Orders so far",
            "products_bought": "Different products bought",
            "active_days": "Days with an order or a visit",
            "recency_days": "Days since the last order; null when there is none",
            "orders_90d": "Orders within the last 90 days",
            "median_days_between_orders": "Middle gap between days with orders; null with fewer than two",
            "spend": "Money spent so far, net of returns",
            "spend_365d": "Money spent within the last 365 days, net of returns",
            "average_order_value": "Money spent per order",
            "top_category": "Top category with the largest share; null without history",
            "has_history": "Has at least one interaction",
            "first_ordered_at": "First order (UTC)",
            "last_ordered_at": "Last order (UTC)",
        },
    ),
    Mart(
        "features",
        "customer_category_affinities",
        "One row per customer and top category they had to do with.",
        ("customer_id", "rank", "category"),
        _CUSTOMER
        | {
            "category": "Top category",
            "rank": "1 is the category with the largest share",
            "share": "Part of the customer's weight that lies in this category, 0 to 1",
        },
    ),
    Mart(
        "features",
        "product_popularity",
        "One row per eligible product: the popular list.",
        ("rank", "product_id"),
        _PRODUCT
        | {
            "buyers": "Different buyers within the popular list's window",
            "buyers_ever": "Different buyers so far",
            "rank": "1 is the most bought",
        },
    ),
    Mart(
        "features",
        "product_topics",
        "One row per product and topic it belongs to.",
        ("product_id", "topic"),
        _PRODUCT | {"topic": "Category at any level of the path, or tag; lower case"},
    ),
    Mart(
        "features",
        "customer_topics",
        "One row per customer and topic they chose about in the preference centre.",
        ("customer_id", "topic"),
        _CUSTOMER
        | {
            "topic": "Category or tag; lower case",
            "choice": "What holds: interested, not_interested or less_like_this",
            "stated_at": "When it was chosen (UTC)",
            "strength": "1 when new, half as much after each half-life; of a no always 1",
            "is_expired": "An interest so old that it drives no slot any more",
            "products": "Eligible products of the topic",
        },
    ),
    Mart(
        "features",
        "customer_topic_rules",
        "One row per customer, topic, effect and cause: what the topic does to tonight's list.",
        ("customer_id", "topic", "effect", "because"),
        _CUSTOMER
        | {
            "topic": "Category or tag; lower case",
            "effect": "exclude, demote, lift or limit",
            "because": "The choice that it comes from",
            "factor": "What scores are multiplied by; null for exclude and limit",
            "at_most": "Products of the topic in one list, for limit",
        },
    ),
    Mart(
        "features",
        "category_rhythms",
        "One row per category that somebody bought from: whether and when people come back to it.",
        ("category",),
        {"category": "Category down to the steps that make a need; lower case", "kind": "one_off, replenishable, ..."},
    ),
    Mart(
        "features",
        "category_successors",
        "One row per one-off category and category that people usually turn to after it.",
        ("category", "rank"),
        {"category": "The finished need", "next_category": "What people turn to", "rank": "1 has most buyers"},
    ),
    Mart(
        "features",
        "customer_needs",
        "One row per customer and category that closes, or is used up and due again.",
        ("customer_id", "category"),
        _CUSTOMER | {"category": "The need; lower case", "state": "open, finished, due or not_due"},
    ),
    Mart(
        "features",
        "customer_concentration",
        "One row per customer and top category of what was sent to them in the last 30 nights.",
        ("customer_id", "category"),
        _CUSTOMER | {"category": "Top category; lower case", "share": "Part of what was sent to them"},
    ),
    Mart(
        "marketing",
        "customer_contactability",
        "One row per known customer and contact channel: whether they may be contacted, and the first reason why not.",
        ("customer_id", "contact_channel"),
        _CUSTOMER
        | {
            "contact_channel": "email, sms, push, post or ads",
            "reason": "erased, suppressed, no_consent, consent_expired, paused, minor, invalid_address; "
            "null when they may be contacted",
            "is_contactable": "May be contacted over this channel",
            "is_objected_by_another": "Another customer with the same address refused there",
            "consent_valid_until": "When the consent ends by itself (UTC); null means never, or no consent",
        },
    ),
)


def drop_marts(con: duckdb.DuckDBPyConnection) -> None:
    """Remove the marts of an earlier night from the attached database `edition`."""
    for mart in MARTS:
        con.execute(f"DROP TABLE IF EXISTS edition.main.{quoted(mart.name)}")


def copy_marts(con: duckdb.DuckDBPyConnection, night: Night) -> dict[str, int]:
    """Copy the marts of the attached `warehouse` into the attached database `edition`; rows per mart.

    Raises StageInputMissing when the warehouse lacks one of them.
    """
    existing = set(
        con.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'warehouse'").fetchall()
    )
    missing = [mart for mart in MARTS if (mart.schema, mart.name) not in existing]
    if missing:
        names = ", ".join(f"{mart.schema}.{mart.name}" for mart in missing)
        raise StageInputMissing(f"{night.warehouse}: has no {names}. Run the stages features and decide again.")
    counts = {}
    for mart in MARTS:
        order = ", ".join(map(quoted, mart.key))
        con.execute(
            f"CREATE TABLE edition.main.{quoted(mart.name)} AS "
            f"SELECT * FROM warehouse.{quoted(mart.schema)}.{quoted(mart.name)} ORDER BY {order}"
        )
        row = con.execute(f"SELECT count(*) FROM edition.main.{quoted(mart.name)}").fetchone()
        counts[mart.name] = int(row[0]) if row else 0
        _comment(con, mart)
    return counts


def _comment(con: duckdb.DuckDBPyConnection, mart: Mart) -> None:
    """Carry dbt's descriptions over, and fill up with ours."""
    where = {"schema": mart.schema, "table": mart.name}
    described = con.execute(
        "SELECT comment FROM duckdb_tables() "
        "WHERE database_name = 'warehouse' AND schema_name = $schema AND table_name = $table",
        where,
    ).fetchone()
    comment = (described[0] if described else None) or mart.comment
    con.execute(f"COMMENT ON TABLE edition.main.{quoted(mart.name)} IS {literal(comment)}")
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'warehouse' AND schema_name = $schema AND table_name = $table",
        where,
    ).fetchall()
    for name, description in columns:
        comment = description or mart.columns.get(name)
        if comment:
            con.execute(f"COMMENT ON COLUMN edition.main.{quoted(mart.name)}.{quoted(name)} IS {literal(comment)}")
