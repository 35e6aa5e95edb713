"""Who gets what, counted: customers by channel and status, rows by source, the products that most people see."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb

from recsys.database import connect, literal, small_frame
from recsys.night import Night
from recsys.report.facts import Facts, attempt
from recsys.vocabulary import Status

TOP_PRODUCTS = 12
VIEWS = {
    "listed": "fct_recommendations",
    "decided": "fct_decisions",
    "left_audience": "fct_removals",
    "asked": "fct_check_ins",
}
"""View -> table of decisions/ that it shows."""


@dataclass(frozen=True)
class ChannelCount:
    """One channel: how many customers have each status, in the order in which the reasons are tried, exported last.

    `removed` is people of the last file who are not in tonight's, by reason; `asked` customers whom the check-in asks,
    by why they are asked about their most important topic; `topics` all topics by why.
    """

    channel: str
    kind: str
    contact_channel: str
    statuses: dict[str, int]
    removed: dict[str, int]
    asked: dict[str, int]
    topics: dict[str, int]

    @property
    def exported(self) -> int:
        return self.statuses.get(Status.EXPORTED, 0)

    @property
    def held_back(self) -> int:
        return self.total - self.exported

    @property
    def total(self) -> int:
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Product:
    """One product: customers who get it in tonight's files, and customers who have it in their list at all."""

    product_id: str
    name: str
    reached: int
    listed: int


@dataclass(frozen=True)
class Audience:
    """All counts of a night. `sources` is rows and customers by source."""

    channels: tuple[ChannelCount, ...]
    sources: dict[str, tuple[int, int]]
    products: tuple[Product, ...]
    customers_with_list: int
    customers_reached: int
    """Customers exported on at least one channel."""
    customers_broad: int
    """Customers with a list who do not allow personalisation: theirs is the broad variant, the popular list."""
    model_version: str | None

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.sources.values())


@contextmanager
def opened(night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `VIEWS` over those of the night's decisions that are there, and its warehouse attached."""
    with connect(folders=[night.folder]) as con:
        for view, table in VIEWS.items():
            path = night.decisions / f"{table}.parquet"
            if path.is_file():
                con.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet({literal(str(path))})")
        con.execute(f"ATTACH {literal(str(night.warehouse))} AS warehouse (READ_ONLY)")
        yield con


def read_audience(facts: Facts) -> tuple[Facts, Audience | None]:
    """The counts of a night, None while its stage decide has left none; the facts gain what could not be read."""
    night = facts.night
    wanted = [night.decisions / f"{table}.parquet" for table in VIEWS.values()]
    if not all(path.is_file() for path in (*wanted, night.warehouse)):
        return facts, None
    problems: list[str] = []
    audience = attempt(problems, "What was decided", partial(count_audience, night))
    return facts.with_problems(problems), audience


def count_audience(night: Night) -> Audience:
    """Count the decisions and recommendations of a night whose stage decide has run."""
    with opened(night) as con:
        statuses = small_frame(con, "SELECT channel, status, count(*) AS customers FROM decided GROUP BY ALL").rows()
        removed = small_frame(
            con,
            "SELECT channel, reason, count(*) AS people FROM left_audience GROUP BY ALL ORDER BY people DESC, reason",
        ).rows()
        asked = small_frame(
            con,
            "SELECT channel, why, count(*) FILTER (rank = 1) AS people, count(*) AS topics FROM asked "
            "GROUP BY channel, why ORDER BY why",
        ).rows()
        sources = small_frame(
            con,
            "SELECT source, count(*) AS rows, count(DISTINCT customer_id) AS customers FROM listed "
            "GROUP BY source ORDER BY rows DESC, source",
        ).rows()
        totals = con.execute(
            "SELECT (SELECT count(DISTINCT customer_id) FROM listed), "
            "(SELECT count(DISTINCT customer_id) FROM decided WHERE status = $exported), "
            "(SELECT max(model_version) FROM listed), "
            "(SELECT count(*) FROM warehouse.core.dim_customers WHERE NOT may_personalise "
            "AND customer_id IN (SELECT customer_id FROM listed))",
            {"exported": Status.EXPORTED.value},
        ).fetchall()[0]
        products = small_frame(
            con,
            """
            WITH reach AS (
                SELECT customer_id, max(items) AS items FROM decided WHERE status = $exported GROUP BY customer_id
            )
            SELECT product_id, coalesce(any_value(product.name), product_id) AS name,
                count(DISTINCT customer_id) FILTER (rank <= reach.items) AS reached,
                count(DISTINCT customer_id) AS listed
            FROM listed
            LEFT JOIN reach USING (customer_id)
            LEFT JOIN warehouse.core.dim_products AS product USING (product_id)
            GROUP BY product_id
            ORDER BY reached DESC, listed DESC, product_id
            LIMIT $top
            """,
            {"exported": Status.EXPORTED.value, "top": TOP_PRODUCTS},
        ).rows(named=True)
    return Audience(
        channels=_channels(night, statuses, removed, asked),
        sources={source: (rows, customers) for source, rows, customers in sources},
        products=tuple(Product(**product) for product in products),
        customers_with_list=totals[0],
        customers_reached=totals[1],
        model_version=totals[2],
        customers_broad=totals[3],
    )


def _channels(
    night: Night, statuses: list[tuple[Any, ...]], removed: list[tuple[Any, ...]], asked: list[tuple[Any, ...]]
) -> tuple[ChannelCount, ...]:
    counts = {(channel, status): customers for channel, status, customers in statuses}
    order = [status.value for status in Status]
    return tuple(
        ChannelCount(
            channel.name,
            channel.kind,
            channel.contact_channel.value,
            {status: counts[channel.name, status] for status in order if (channel.name, status) in counts},
            {reason: people for name, reason, people in removed if name == channel.name},
            {why: people for name, why, people, _ in asked if name == channel.name},
            {why: topics for name, why, _, topics in asked if name == channel.name},
        )
        for channel in night.shop.channels
    )
