"""What the ledger says people were sent, counted by topic."""

import polars as pl

from recsys.night import Night

COUNTED = {"customer_id": pl.String, "topic": pl.String, "items": pl.UInt32}


def by_topic(night: Night, topics: pl.DataFrame) -> pl.DataFrame:
    """customer_id, topic and items, of products with a topic (product_id, topic; one row each) in the ledger's nights.

    A product counts once a night, however many channels carried it. One night is held in memory at a time.
    """
    ledger = pl.scan_parquet(night.raw / "ledger" / "items" / "*.parquet")
    total = pl.DataFrame(schema=COUNTED)
    for day in ledger.select(pl.col("run_date").unique().sort()).collect().to_series():
        sent = (
            ledger.filter(pl.col("run_date") == day)
            .select("customer_id", "product_id")
            .unique()
            .join(topics.lazy(), on="product_id")
            .group_by("customer_id", "topic")
            .agg(items=pl.len())
            .collect(engine="streaming")
        )
        total = pl.concat([total, sent]).group_by("customer_id", "topic").agg(pl.col("items").sum())
    return total
