"""What one customer chose in the preference centre, and what each choice does to the list."""

import duckdb

from recsys.database import small_frame
from recsys.night import Night
from recsys.report.page import count
from recsys.report.words import CHOICE_WORDS
from recsys.why.personalisation import moment, too_young

_CHOICES = """
    SELECT chosen.topic, choice, stated_at, is_expired, products, effect, factor
    FROM warehouse.features.customer_topics AS chosen
    LEFT JOIN warehouse.features.customer_topic_rules AS rules
        ON rules.customer_id = chosen.customer_id AND rules.topic = chosen.topic AND rules.because = choice
    WHERE chosen.customer_id = $customer
    ORDER BY choice DESC, chosen.topic
"""


def tell_choices(con: duckdb.DuckDBPyConnection, night: Night, customer: str) -> list[str]:
    """One sentence per topic they chose about, and one when there is none; needs the stage features."""
    age = too_young(con, night, customer)
    if age is not None:
        return [f"Not used, since they may be younger than {age}: nothing about them is."]
    rows = small_frame(con, _CHOICES, {"customer": customer}).rows(named=True)
    return [_choice(row) for row in rows] or ["They chose nothing about topics in the preference centre."]


def _choice(row: dict[str, object]) -> str:
    products = count(int(str(row["products"])), "product")
    match row["effect"]:
        case "exclude":
            does = f"{products} left out"
        case "demote":
            does = f"{products} moved down, scores times {row['factor']}"
        case "lift":
            does = f"{products} moved up, scores times {row['factor']:.2f}"
        case _ if not row["products"]:
            does = "no product that may be recommended is of this topic"
        case _ if row["is_expired"]:
            does = "too long ago to count"
        case _:
            does = "not used, since they do not allow personalisation"
    words = CHOICE_WORDS[str(row["choice"])]
    return f"They chose “{words}: {row['topic']}” on {moment(row['stated_at'])}: {does}."
