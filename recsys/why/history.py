"""What is known about one customer's taste, what may be recommended to them, and the list that came of it."""

from datetime import datetime
from typing import Any

import duckdb

from recsys.database import small_frame
from recsys.night import Night
from recsys.report.examples import deeds
from recsys.report.page import count, said
from recsys.report.words import SOURCE_WORDS, reason_words
from recsys.why.needs import tell_needs
from recsys.why.personalisation import NOT_USED, is_used, minor_words, too_young

STRONGEST = 5

_TOTALS = """
    SELECT
        (SELECT orders FROM warehouse.features.customer_features WHERE customer_id = $customer) AS orders,
        (SELECT visitors FROM warehouse.core.dim_customers WHERE customer_id = $customer) AS visitors,
        count(*) AS products,
        count(*) FILTER (is_bought) AS bought,
        coalesce(sum(views), 0)::BIGINT AS views,
        coalesce(sum(carts), 0)::BIGINT AS carts,
        coalesce(sum(wishlists), 0)::BIGINT AS wishlists,
        min(first_at) AS first_at,
        max(last_at) AS last_at
    FROM warehouse.core.fct_interactions WHERE customer_id = $customer
"""

_STRONGEST = """
    WITH used AS (
        SELECT product_id, weight FROM read_parquet($interactions) WHERE customer_id = $customer
    ), past AS (
        SELECT product_id, quantity, orders, carts, wishlists, views, last_at
        FROM warehouse.core.fct_interactions WHERE customer_id = $customer
    )
    SELECT * FROM used JOIN past USING (product_id)
    LEFT JOIN (SELECT product_id, name FROM read_parquet($products)) AS product USING (product_id)
    ORDER BY weight DESC, product_id
    LIMIT $strongest
"""

_RULES = """
    WITH bought AS (
        SELECT product_id, is_due FROM read_parquet($interactions) WHERE customer_id = $customer AND is_bought
    )
    SELECT count(*) AS products, count(*) FILTER (is_eligible) AS eligible,
        count(*) FILTER (
            is_eligible AND product_id IN (SELECT product_id FROM bought)
            AND (
                replenishable IS DISTINCT FROM true
                OR product_id IN (SELECT product_id FROM bought WHERE is_due IS FALSE)
            )
        ) AS not_again
    FROM read_parquet($products)
"""

_INELIGIBLE = """
    SELECT ineligible_reason, count(*) AS products FROM warehouse.core.dim_products
    WHERE ineligible_reason IS NOT NULL GROUP BY ineligible_reason ORDER BY products DESC, ineligible_reason
"""

_LIST = """
    SELECT listed.*, product.name FROM read_parquet($listed) AS listed
    LEFT JOIN read_parquet($products) AS product USING (product_id)
    WHERE customer_id = $customer ORDER BY rank
"""


def tell_history(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> list[str]:
    """How much is known, from when to when, and the interactions that weigh most; needs the stage features.

    Of somebody whose behaviour may not be used: that it is not used, and not what it is.
    """
    age = too_young(con, night, customer)
    if age is not None or not is_used(con, customer):
        return [NOT_USED if age is None else f"Not used, since they may be younger than {age}: nothing about them is."]
    totals = small_frame(con, _TOTALS, {"customer": customer}).row(0, named=True)
    strongest = small_frame(con, _STRONGEST, _inputs(night, customer) | {"strongest": STRONGEST}).rows(named=True)
    ordered = count(totals["orders"] or 0, "order")
    if not totals["products"]:
        return [f"Nothing that counts is known of their taste: {ordered}, and no product bought and kept or looked at."]
    kinds = {"views": "viewed", "carts": "put into the cart", "wishlists": "put on the wishlist"}
    visits = [f"{what} {count(totals[kind], 'time')}" for kind, what in kinds.items() if totals[kind]]
    first, last = _day(totals["first_at"]), _day(totals["last_at"])
    days = f"all on {first}" if first == last else f"from {first} to {last}"
    lines = [
        f"{ordered}; {count(totals['bought'], 'product')} bought and kept; visits: {', '.join(visits) or 'none'}.",
        f"{count(totals['products'], 'product')} counted, {days}.",
    ]
    if totals["visitors"]:
        lines.append(f"Counted with them: {count(totals['visitors'], 'visitor id')}, of visits without signing in.")
    lines.append("What weighs most, with its weight (the longer ago, the less):")
    return lines + [f"  {_interaction(row)}" for row in strongest]


def tell_rules(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> list[str]:
    """How many products may be recommended to anybody, and how many of them not to this customer."""
    age = too_young(con, night, customer)
    if age is not None:
        return [f"Nothing is recommended to them, since they may be younger than {age}."]
    rules = small_frame(con, _RULES, _inputs(night, customer)).row(0, named=True)
    left_out = [f"{products:,} {said(reason)}" for reason, products in small_frame(con, _INELIGIBLE).rows()]
    others = f" The others: {', '.join(left_out)}." if left_out else ""
    bought = f"Left out for this customer, bought already and not wanted again: {count(rules['not_again'], 'product')}."
    if not is_used(con, customer):
        bought = "Nothing is left out because they bought it: that is not used."
    return [
        f"{rules['eligible']:,} of {count(rules['products'], 'product')} may be recommended.{others}",
        bought,
        *tell_needs(con, customer),
    ]


def tell_list(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> list[str]:
    """The products of the list in their order, each with its source and, once there are decisions, reason and share."""
    age = too_young(con, night, customer)
    if age is not None:
        return [minor_words(age)]
    decided = night.decisions / "fct_recommendations.parquet"
    listed = decided if decided.is_file() else night.recommendations
    rows = small_frame(
        con,
        _LIST,
        {"customer": customer, "listed": str(listed), "products": str(night.features / "products.parquet")},
    ).rows(named=True)
    if not rows:
        return ["No product is left that may be recommended to them, so they have no list."]
    versions = sorted({str(row["model_version"]) for row in rows})
    lines = [_entry(row) for row in rows]
    if not is_used(con, customer):
        lines.append("It is the popular list, since what they bought and looked at may not be used.")
    return lines + [_made_by(version) for version in versions]


def _made_by(version: str) -> str:
    """How lists of this version are made. Those of two stages name the ranker and the model: ranker-...+als-..."""
    ranker, is_ranked, model = version.partition("+")
    if not is_ranked:
        return f"Made by {version}."
    return (
        f"Made in two stages: {ranker} puts candidates in order, and where they end, {model} goes on. A reason names "
        f"what weighs most in {model}, not why the product stands at its place; popular rows are of neither."
    )


def _inputs(night: Night, customer: str) -> dict[str, object]:
    return {
        "customer": customer,
        "interactions": str(night.features / "interactions.parquet"),
        "products": str(night.features / "products.parquet"),
    }


def _interaction(row: dict[str, object]) -> str:
    what = deeds(*(int(str(row[kind])) for kind in ("quantity", "orders", "carts", "wishlists", "views")))
    return f"{row['weight']:.3f}  {named(row)}: {what}, last on {_day(row['last_at'])}"


def _entry(row: dict[str, Any]) -> str:
    source = str(row["source"])
    words = SOURCE_WORDS.get(source, (source, ""))[0].lower()
    if row.get("context"):
        words = f"{words} in {row['context']}"
    reason = row.get("reason")
    why = f": {reason_words(reason, row.get('reason_kind'), row.get('because_share'))}" if reason else ""
    return f"{row['rank']}. {named(row)}, {words}{why}"


def named(row: dict[str, object]) -> str:
    """A product's name with its id; the id alone when the product is not known."""
    return f"{row['name']} ({row['product_id']})" if row["name"] else str(row["product_id"])


def _day(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime) else "an unknown day"
