"""What a customer's own needs did to the list: finished, due, not due yet, and lists that became narrow."""

import duckdb

from recsys.database import small_frame

_NEEDS = """
    SELECT category, state, finished_on, why FROM warehouse.features.customer_needs
    WHERE customer_id = $customer
    ORDER BY CASE state WHEN 'finished' THEN 1 WHEN 'due' THEN 2 WHEN 'not_due' THEN 3 ELSE 4 END, category
"""

_FOLLOWED = """
    SELECT next_category, name FROM warehouse.intermediate.int_needs__followed
    WHERE customer_id = $customer ORDER BY next_category
"""

_NARROW = """
    WITH sent AS (
        SELECT category, items, (sum(items) OVER ())::BIGINT AS everything
        FROM warehouse.features.customer_concentration WHERE customer_id = $customer
    )
    SELECT sent.*, rules.at_most FROM sent JOIN warehouse.features.customer_topic_rules AS rules
        ON rules.customer_id = $customer AND rules.topic = sent.category AND rules.because = 'narrow'
    ORDER BY category
"""


def tell_needs(con: duckdb.DuckDBPyConnection, customer: str) -> list[str]:
    """One line per need that closes or comes back, per category that follows, and per narrow one; none without any."""
    of: dict[str, object] = {"customer": customer}
    lines = [_need(*row) for row in small_frame(con, _NEEDS, of).rows()]
    lines += [
        f"Moved up, because it is often chosen after {name}: {category}."
        for category, name in small_frame(con, _FOLLOWED, of).rows()
    ]
    lines += [
        f"{items} of the {everything} items sent to them in the last 30 nights were {category}, so tonight's list has "
        f"at most {at_most} of it."
        for category, items, everything, at_most in small_frame(con, _NARROW, of).rows()
    ]
    return lines


def _need(category: str, state: str, finished_on: object, why: str) -> str:
    match state:
        case "finished":
            return f"Finished on {finished_on}: {category}. {why}. Nothing of it is recommended."
        case "due":
            return f"Due: {category}. {why}. What they bought of it is moved up."
        case "not_due":
            return f"Not due yet: {category}. {why}. What they bought of it is left out until then."
        case _:
            return f"Open: {category}. {why}."
