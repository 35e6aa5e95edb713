"""What a customer's topics do to a list: leave products out, move them down or up, or allow only so many."""

from dataclasses import dataclass, field

import polars as pl

from recsys.models.recommender import LIST_SCHEMA, Recommender
from recsys.models.topics import Topics

PAIR = ["customer_id", "product_id"]
WEIGHED_SCHEMA = pl.Schema(
    LIST_SCHEMA | {"unlifted": pl.Float64(), "because": pl.String(), "topic": pl.String(), "limited": pl.Boolean()}
)
"""LIST_SCHEMA with score after all rules; `unlifted`, the score without any lift; and what lifts it, if anything does.

`limited`: of the product's topics some are limited for the customer.
"""

NOTHING_DUE = pl.DataFrame(
    schema={
        "customer_id": pl.String,
        "product_id": pl.String,
        "topic": pl.String,
        "factor": pl.Float64,
        "because": pl.String,
    }
)


@dataclass(frozen=True)
class TopicRules:
    """Rules per customer and topic, and which product belongs to which topic (product_id, topic; each pair once).

    `rules`: customer_id, topic, effect, factor, at_most, because. Effects: `exclude` names no product of the topic;
    `demote` (factor below 1) and `lift` (factor of at least 1) multiply scores; `limit` allows at_most products of the
    topic in a list. A no beats a yes: what is demoted on one topic is not lifted on another. Of several factors the
    one furthest from 1 counts.

    `due` (columns of NOTHING_DUE; each pair once) lifts single products: those that a customer usually buys again
    about now. A lift of their topic by 1 brings them into the shortlist.
    """

    rules: pl.DataFrame
    products: pl.DataFrame
    due: pl.DataFrame = field(default_factory=NOTHING_DUE.clone)

    def shortlist(
        self, recommender: Recommender, customers: pl.Series, candidates: pl.Series, excluded: pl.DataFrame, k: int
    ) -> pl.DataFrame:
        """LIST_SCHEMA without order: enough of each customer's best products to make the k best under the rules.

        The k best that no rule touches or only lifts, and the k best of every topic that is lifted, limited or demoted.
        """
        theirs = self.rules.filter(pl.col("customer_id").is_in(customers.unique().implode()))
        exclude, demote, lift, limit = (_topics(theirs, effect) for effect in ("exclude", "demote", "lift", "limit"))
        restricted = lift.vstack(limit).join(limit, on="customer_id", how="semi").unique()
        passes = [
            (exclude.vstack(demote).vstack(limit).unique(), lift),
            (exclude.vstack(demote).unique(), restricted),
            (exclude, demote),
        ]
        lists = [recommender.recommend(customers, candidates, excluded, k, Topics(self.products, passes[0][0]))]
        for barred, within in passes:
            if within.height:
                topics = Topics(self.products, barred, within)
                asked = within.select("customer_id").unique()
                pairs = excluded.select(PAIR).join(asked, on="customer_id", how="semi")
                lists.append(recommender.recommend(asked.to_series(), candidates, pairs, k, topics))
        return pl.concat(lists).unique(PAIR, keep="first", maintain_order=True)

    def weigh(self, lists: pl.DataFrame) -> pl.DataFrame:
        """Lists as LIST_SCHEMA after the rules' factors, as WEIGHED_SCHEMA. Scores stay above 0; no row is lost."""
        rules = self.rules.filter(pl.col("effect") != "exclude")
        touched = (
            lists.lazy()
            .select(PAIR)
            .join(rules.lazy().select("customer_id").unique(), on="customer_id", how="semi")
            .join(self._of_rules(rules).lazy(), on="product_id")
            .join(rules.lazy(), on=["customer_id", "topic"])
            .collect()
        )
        due = lists.select(PAIR).join(self.due, on=PAIR).with_columns(effect=pl.lit("lift"))
        touched = pl.concat([touched, due], how="diagonal")
        demoted = touched.filter(pl.col("effect") == "demote").group_by(PAIR).agg(demotion=pl.col("factor").min())
        lifted = (
            touched.filter(pl.col("effect") == "lift", pl.col("factor") > 1)
            .join(demoted, on=PAIR, how="anti")
            .sort(*PAIR, "factor", "because", "topic", descending=[False, False, True, False, False])
            .unique(PAIR, keep="first", maintain_order=True)
            .select(*PAIR, "because", "topic", lift="factor")
        )
        limited = touched.filter(pl.col("effect") == "limit").select(PAIR).unique().with_columns(limited=True)
        return (
            lists.join(demoted, on=PAIR, how="left", maintain_order="left")
            .join(lifted, on=PAIR, how="left", maintain_order="left")
            .join(limited, on=PAIR, how="left", maintain_order="left")
            .with_columns(
                unlifted=pl.col("score") * pl.col("demotion").fill_null(1),
                limited=pl.col("limited").fill_null(value=False),
            )
            .with_columns(score=pl.col("unlifted") * pl.col("lift").fill_null(1))
            .select(WEIGHED_SCHEMA.names())
            .match_to_schema(WEIGHED_SCHEMA)
        )

    def within_limits(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, best first per customer, less those that come after at_most others of a limited topic.

        Needs the columns of WEIGHED_SCHEMA. With several limited topics a row that one of them leaves out still
        counts for the others, so that no limit is ever exceeded.
        """
        limits = self.rules.filter(pl.col("effect") == "limit")
        if limits.is_empty():
            return rows
        place = pl.int_range(1, pl.len() + 1).over("customer_id", "topic")
        beyond = (
            rows.filter("limited")
            .select(PAIR)
            .join(self._of_rules(limits), on="product_id", maintain_order="left")
            .join(limits, on=["customer_id", "topic"], maintain_order="left")
            .filter(place > pl.col("at_most"))
        )
        return rows.join(beyond, on=PAIR, how="anti", maintain_order="left")

    def _of_rules(self, rules: pl.DataFrame) -> pl.DataFrame:
        """Products and topics, of topics that some of the rules is about."""
        return self.products.join(rules.select("topic").unique(), on="topic", how="semi")


def _topics(rules: pl.DataFrame, effect: str) -> pl.DataFrame:
    return rules.filter(pl.col("effect") == effect).select("customer_id", "topic").unique()
