"""Whose an id is, straight from raw/, for the re-count: it shares no SQL with the dbt project."""

import polars as pl

from recsys.night import Night

SIGHTINGS = (("identities", "seen_at"), ("web_events", "occurred_at"), ("order_lines", "ordered_at"))
"""Raw tables that may name two ids of one person, and the column that says when."""
MOST_LINKS = 100


def owners(night: Night, ids: pl.Series, customers: pl.DataFrame) -> pl.DataFrame:
    """id and customer_id: the known customer (`customers`: customer_id) that each id is, or is nearest to over links.

    Of several equally near the one seen last, then the smaller. Ids that lead to no customer have no row.
    """
    known = customers.get_column("customer_id").unique()
    themselves = pl.DataFrame({"id": known, "customer_id": known})
    if ids.is_in(known.implode()).all():
        return themselves
    seen = pl.concat(
        pl.scan_parquet(night.raw / f"{table}.parquet")
        .select("visitor_id", "customer_id", seen_at=moment)
        .drop_nulls(["visitor_id", "customer_id"])
        for table, moment in SIGHTINGS
    ).collect()
    links = (
        pl.concat(
            [
                seen.select(id="visitor_id", other="customer_id", seen_at="seen_at"),
                seen.select(id="customer_id", other="visitor_id", seen_at="seen_at"),
            ]
        )
        .filter(pl.col("id") != pl.col("other"))
        .group_by("id", "other")
        .agg(pl.col("seen_at").max())
        .join(themselves, on="id", how="anti")
    )
    found, reached = [themselves], themselves
    for _ in range(MOST_LINKS):
        reached = (
            links.join(reached, left_on="other", right_on="id")
            .sort("id", "seen_at", "customer_id", descending=[False, True, False], nulls_last=True)
            .unique("id", keep="first", maintain_order=True)
            .select("id", "customer_id")
        )
        if reached.is_empty():
            break
        found.append(reached)
        links = links.join(reached, on="id", how="anti")
    return pl.concat(found)
