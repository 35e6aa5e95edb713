"""Which known customer an id leads to, straight from raw/, for the re-count: it shares no SQL with the dbt project."""

import polars as pl

from recsys.night import Night

SIGHTINGS = {"identities": "seen_at", "web_events": "occurred_at", "order_lines": "ordered_at"}
"""Tables whose rows may carry a visitor's and a customer's id at once, and when they did."""
FARTHEST = 100
"""Links between an id and its customer; a longer chain is a fault in the data, not a person."""


def resolved(night: Night, customers: pl.DataFrame) -> pl.DataFrame:
    """id and customer_id: every known customer's own id, and each other id with the one customer it leads to.

    An id leads to the customer that is the fewest links away, over ids that are no customers; of several equally near
    the one whose link was seen last, then the smaller customer_id. Ids that lead to nobody have no row.
    """
    known = customers.select(id="customer_id", customer_id="customer_id").unique()
    links = _links(night).join(known, on="id", how="anti")
    found = _nearest(links.join(known, left_on="other", right_on="id"))
    inner = links.join(known, left_on="other", right_on="id", how="anti").join(found, on="id", how="anti")
    steps = [known, found]
    while not steps[-1].is_empty() and len(steps) <= FARTHEST:
        step = _nearest(inner.join(steps[-1], left_on="other", right_on="id"))
        inner = inner.join(step, on="id", how="anti")
        steps.append(step)
    return pl.concat(steps)


def _links(night: Night) -> pl.DataFrame:
    """id, other and seen_at, both ways round: every two ids that were seen together, and when they last were."""
    seen = pl.concat(
        pl.scan_parquet(night.raw / f"{table}.parquet")
        .filter(pl.col(moment) < night.end, pl.col("visitor_id") != pl.col("customer_id"))
        .select(id="visitor_id", other="customer_id", seen_at=moment)
        for table, moment in SIGHTINGS.items()
    )
    either = pl.concat([seen, seen.select(id="other", other="id", seen_at="seen_at")])
    return either.group_by("id", "other").agg(pl.col("seen_at").max()).collect()


def _nearest(candidates: pl.DataFrame) -> pl.DataFrame:
    """One customer per id, of those one step away."""
    return (
        candidates.sort("seen_at", "customer_id", descending=[True, False])
        .unique("id", keep="first", maintain_order=True)
        .select("id", "customer_id")
    )
