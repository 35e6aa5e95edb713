"""The popular list: the same products for everybody, less those that a customer must not get."""

import polars as pl

from recsys.models.recommender import LIST_SCHEMA, Recommender


class PopularList(Recommender):
    """Names the most bought products first, to anybody.

    Made from product_id and rank (1 = most bought, no two equal). A score is 1 / rank.
    """

    def __init__(self, popularity: pl.DataFrame) -> None:
        self._popularity = popularity.select("product_id", "rank").sort("rank")

    def recommend(self, customers: pl.Series, candidates: pl.Series, excluded: pl.DataFrame, n: int) -> pl.DataFrame:
        pool = self._popularity.filter(pl.col("product_id").is_in(candidates.implode())).with_row_index("position")
        wanted = customers.unique().to_frame("customer_id")
        barred = (
            excluded.select("customer_id", "product_id")
            .unique()
            .join(wanted, on="customer_id", how="semi")
            .join(pool, on="product_id")
        )
        # n products are left of the first n + (number barred), so nobody needs to be crossed with the whole pool
        reach = wanted.join(barred.group_by("customer_id").agg(barred=pl.len()), on="customer_id", how="left").select(
            "customer_id", reach=(pl.col("barred").fill_null(0) + n).clip(upper_bound=pool.height)
        )
        return (
            reach.filter(pl.col("reach") > 0)
            .select("customer_id", position=pl.int_ranges(0, "reach", dtype=pl.UInt32))
            .explode("position")
            .join(barred.select("customer_id", "position"), on=["customer_id", "position"], how="anti")
            .sort("customer_id", "position")
            .filter(pl.int_range(pl.len()).over("customer_id") < n)
            .join(pool, on="position", how="left", maintain_order="left")
            .select("customer_id", "product_id", score=1.0 / pl.col("rank"))
            .match_to_schema(LIST_SCHEMA)
        )
