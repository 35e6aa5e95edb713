"""A dozen customers of the night, each with history beside recommendations, so that a person can judge the lists.

Half of them individual, a quarter popular, a quarter held back, as far as there are such customers. Which ones depends
on the customers and the date alone. They are shown by customer_id; no name, address or number is read.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from recsys.database import small_frame
from recsys.night import Night
from recsys.report.audience import opened
from recsys.report.words import reason_words
from recsys.vocabulary import Source, Status

EXAMPLES = 12
HISTORY = 8

_CHOSEN = """
WITH customer AS (
    SELECT customer_id,
        bool_or(status = $exported) AS is_exported,
        min(status) FILTER (status <> $exported) AS first_status
    FROM decided GROUP BY customer_id
), sourced AS (
    SELECT customer_id, bool_or(source <> $popular) AS is_individual FROM listed GROUP BY customer_id
), grouped AS (
    SELECT customer_id,
        CASE WHEN NOT is_exported THEN 3 WHEN is_individual THEN 1 ELSE 2 END AS part,
        CASE WHEN is_exported THEN '' ELSE first_status END AS why,
        md5(concat_ws('|', $run_date::VARCHAR, customer_id)) AS lot
    FROM customer LEFT JOIN sourced USING (customer_id)
), spread AS (
    SELECT *, row_number() OVER (PARTITION BY part, why ORDER BY lot, customer_id) AS turn FROM grouped
), drawn AS (
    SELECT *, row_number() OVER (PARTITION BY part ORDER BY turn, why, customer_id) AS place FROM spread
), chosen AS (
    SELECT customer_id, part, place FROM drawn
    ORDER BY (place - 1) // CASE part WHEN 1 THEN 6 ELSE 3 END, part, place
    LIMIT $examples
)
SELECT customer_id, ['individual', 'popular', 'held back'][part] AS part FROM chosen ORDER BY chosen.part, place
"""

_DECISIONS = """
SELECT customer_id, channel, status, reason, items FROM decided
WHERE list_contains($chosen::VARCHAR[], customer_id) ORDER BY customer_id, channel
"""

_RECOMMENDED = """
SELECT customer_id, rank, coalesce(product.name, product_id) AS name, source, reason, reason_kind, because_share
FROM listed LEFT JOIN warehouse.core.dim_products AS product USING (product_id)
WHERE list_contains($chosen::VARCHAR[], customer_id) ORDER BY customer_id, rank
"""

_HISTORY = """
SELECT customer_id, coalesce(product.name, product_id) AS name,
    quantity, orders, carts, wishlists, views, last_at::DATE AS last_on
FROM warehouse.core.fct_interactions LEFT JOIN warehouse.core.dim_products AS product USING (product_id)
WHERE list_contains($chosen::VARCHAR[], customer_id)
QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY last_at DESC, orders DESC, product_id) <= $history
ORDER BY customer_id, last_at DESC, orders DESC, product_id
"""


@dataclass(frozen=True)
class Item:
    """One recommended product. `reason` says its share where it names something of the customer's own."""

    rank: int
    name: str
    source: str
    reason: str


@dataclass(frozen=True)
class Past:
    """One product of the customer's history: what they did with it, and the day they last did."""

    name: str
    what: str
    last_on: date


@dataclass(frozen=True)
class Example:
    """One customer. `decisions` is channel, status, reason and items per channel."""

    customer_id: str
    part: str
    decisions: tuple[tuple[str, str, str, int], ...]
    history: tuple[Past, ...]
    items: tuple[Item, ...]


def choose_examples(night: Night) -> tuple[Example, ...]:
    """Up to a dozen example customers of a night whose stage decide has run; fewer when there are fewer customers."""
    with opened(night) as con:
        parts = small_frame(
            con,
            _CHOSEN,
            {
                "exported": Status.EXPORTED.value,
                "popular": Source.POPULAR.value,
                "run_date": night.run_date,
                "examples": EXAMPLES,
            },
        ).rows()
        chosen: dict[str, object] = {"chosen": [customer for customer, _ in parts]}
        decisions = small_frame(con, _DECISIONS, chosen).rows()
        recommended = small_frame(con, _RECOMMENDED, chosen).rows()
        history = small_frame(con, _HISTORY, chosen | {"history": HISTORY}).rows()
    return tuple(
        Example(
            customer_id=customer,
            part=part,
            decisions=tuple(row[1:] for row in decisions if row[0] == customer),
            history=tuple(Past(row[1], deeds(*row[2:7]), row[7]) for row in history if row[0] == customer),
            items=tuple(
                Item(rank, name, source, reason_words(reason, kind, share))
                for owner, rank, name, source, reason, kind, share in recommended
                if owner == customer
            ),
        )
        for customer, part in parts
    )


def deeds(quantity: int, orders: int, carts: int, wishlists: int, views: int) -> str:
    """What a customer did with a product, in words, the strongest first."""
    said: list[Any] = [
        quantity > 0 and ("bought" if quantity == 1 else f"bought {quantity:,}"),
        orders > 0 and quantity <= 0 and "bought and returned",
        carts > 0 and "put into the cart",
        wishlists > 0 and "put on the wishlist",
        views > 0 and ("viewed" if views == 1 else f"viewed {views:,} times"),
    ]
    return ", ".join(words for words in said if words)
