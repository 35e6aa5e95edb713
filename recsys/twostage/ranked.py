"""Lists in the order of a ranker, as a recommender that minds topics; where they end, another recommender goes on."""

from dataclasses import replace

import polars as pl

from recsys.models.matrix import PAIR
from recsys.models.recommender import EVERYTHING, LIST_SCHEMA, Recommender
from recsys.models.topics import Topics

ORDER = ["customer_id", "score", "product_id"]


class Ranked(Recommender):
    """Made from `lists` (customer_id, product_id, score above 0) and the recommender that goes on.

    Scores of the second lie below all of a customer's scores of the first: its score s becomes s / (s + 1) of the
    lowest of them. So it is asked only where the first has less than is wanted.
    """

    def __init__(self, lists: pl.DataFrame, then: Recommender) -> None:
        self._lists = lists.select(LIST_SCHEMA.names()).sort(ORDER, descending=[False, True, False])
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
        ).join(excluded.select(PAIR), on=PAIR, how="anti", maintain_order="left")
        if topics.excluded.height:
            barred = _of_topics(first, topics, topics.excluded)
            first = first.join(barred, on=PAIR, how="anti", maintain_order="left")
        short, left = _short(first, asked, n, topics)
        second = (
            self._then.recommend(short, candidates, excluded, n, left)
            .join(self._lowest, on="customer_id", how="left")
            .with_columns(score=pl.col("lowest").fill_null(1.0) * pl.col("score") / (pl.col("score") + 1))
        )
        more = second.join(first, on=PAIR, how="anti").select(LIST_SCHEMA.names())
        rows = pl.concat([first, more]).sort(ORDER, descending=[False, True, False]) if more.height else first
        if topics.within is None:
            return rows.filter(pl.int_range(pl.len()).over("customer_id") < n)
        place = pl.int_range(pl.len()).over("customer_id", "topic")
        wanted = _of_topics(rows, topics, topics.within).filter(place < n)
        return rows.join(wanted, on=PAIR, how="semi", maintain_order="left")


def _of_topics(rows: pl.DataFrame, topics: Topics, chosen: pl.DataFrame) -> pl.DataFrame:
    """customer_id, product_id, topic: the rows, in their order, that are of a topic chosen for their customer."""
    products = topics.products.join(chosen.select("topic").unique(), on="topic", how="semi")
    theirs = rows.select(PAIR).join(
        chosen.select("customer_id").unique(), on="customer_id", how="semi", maintain_order="left"
    )
    return theirs.join(products, on="product_id", maintain_order="left").join(
        chosen, on=["customer_id", "topic"], how="semi", maintain_order="left"
    )


def _short(first: pl.DataFrame, asked: pl.Series, n: int, topics: Topics) -> tuple[pl.Series, Topics]:
    """Those asked for whom `first` has fewer than n products, or for topics of theirs, and what is still wanted."""
    if topics.within is None:
        full = first.group_by("customer_id").len().filter(pl.col("len") >= n)
        return asked.to_frame("customer_id").join(full, on="customer_id", how="anti").to_series(), topics
    wanted = ["customer_id", "topic"]
    full = _of_topics(first, topics, topics.within).group_by(wanted).len().filter(pl.col("len") >= n)
    left = replace(topics, within=topics.within.join(full, on=wanted, how="anti"))
    return left.asked(asked), left
