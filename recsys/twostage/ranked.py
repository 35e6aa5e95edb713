"""Lists in the order of a ranker, as a recommender that minds topics; where they end, another recommender goes on."""

import polars as pl

from recsys.models.matrix import PAIR
from recsys.models.recommender import EVERYTHING, LIST_SCHEMA, Recommender
from recsys.models.topics import Topics


class Ranked(Recommender):
    """Made from `lists` (customer_id, product_id, score above 0) and the recommender that goes on.

    Scores of the second lie below all of a customer's scores of the first: its score s becomes s / (s + 1) of the
    lowest of them.
    """

    def __init__(self, lists: pl.DataFrame, then: Recommender) -> None:
        self._lists = lists.select(LIST_SCHEMA.names())
        self._lowest = lists.group_by("customer_id").agg(lowest=pl.col("score").min())
        self._then = then

    def recommend(
        self,
        customers: pl.Series,
        candidates: pl.Series,
        excluded: pl.DataFrame,
        n: int,
        topics: Topics = EVERYTHING,
    ) -> pl.DataFrame:
        asked = topics.asked(customers)
        if n < 1 or not len(asked) or not len(candidates):
            return LIST_SCHEMA.to_frame()
        first = self._lists.filter(
            pl.col("customer_id").is_in(asked.implode()), pl.col("product_id").is_in(candidates.implode())
        ).join(excluded.select(PAIR), on=PAIR, how="anti")
        if topics.excluded.height:
            barred = topics.products.join(topics.excluded, on="topic").select(PAIR)
            first = first.join(barred, on=PAIR, how="anti")
        second = (
            self._then.recommend(customers, candidates, excluded, n, topics)
            .join(self._lowest, on="customer_id", how="left")
            .with_columns(score=pl.col("lowest").fill_null(1.0) * pl.col("score") / (pl.col("score") + 1))
        )
        rows = pl.concat([first, second.select(LIST_SCHEMA.names())]).unique(PAIR, keep="first", maintain_order=True)
        rows = rows.sort("customer_id", "score", "product_id", descending=[False, True, False])
        if topics.within is None:
            return rows.filter(pl.int_range(pl.len()).over("customer_id") < n)
        place = pl.int_range(pl.len()).over("customer_id", "topic")
        wanted = rows.join(topics.products, on="product_id", maintain_order="left").join(
            topics.within, on=["customer_id", "topic"], how="semi", maintain_order="left"
        )
        return rows.join(wanted.filter(place < n), on=PAIR, how="semi", maintain_order="left")
