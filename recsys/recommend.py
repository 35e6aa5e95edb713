"""Stage `recommend`: learn tastes from all interactions, then make up to k recommendations for every customer.

Products that may not be recommended take part in the learning, since they tell about taste. Reads `features/`, writes
`model/`, `recommendations.parquet` and `reasons.parquet`.
"""

import logging

import polars as pl

from recsys.errors import StageInputMissing
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList
from recsys.night import Night
from recsys.ranking import Limits, eligible, not_again, ranked, short_of
from recsys.tables import write_parquet
from recsys.topic_rules import TopicRules
from recsys.variety import Variety
from recsys.vocabulary import Reason, Source

COLUMNS = ["run_date", "customer_id", "rank", "product_id", "source", "score", "model_version", "because", "topic"]

REACH = 8
"""Shortlists are so many times as long as lists where categories or brands are limited, so that lists still fill."""
REASONS = 3
"""So many of the products that a score comes from are kept."""

log = logging.getLogger("recsys")


def run(night: Night) -> dict[str, int | str]:
    """Train, recommend, write; what comes back are counts.

    Customers who do not allow personalisation, customers without history, and places that no individual score fills,
    get popular products; the topic rules hold for these too. No interactions at all: everybody gets them. No eligible
    product: a table without rows, which the gate stops. Raises StageInputMissing when the features stage has not run,
    ModelError when the interactions cannot be learnt from.
    """
    settings = night.shop.recommend
    interactions = _feature(night, "interactions")
    products = _feature(night, "products")
    people = _feature(night, "customers")
    customers = people.get_column("customer_id")
    personal = people.filter(pl.col("may_personalise").fill_null(False)).get_column("customer_id")
    popularity = PopularList(_feature(night, "popularity"))
    rules = TopicRules(
        _feature(night, "topic_rules"), _feature(night, "product_topics"), _feature(night, "due_products")
    )

    learnt = interactions.filter(pl.col("weight") > 0)
    model = AlsModel.fit(learnt, settings)
    model.save(night.model)

    candidates, rested = eligible(products), _feature(night, "rested_products")
    excluded = pl.concat([not_again(interactions, products), rested]).unique(maintain_order=True)
    limits = Limits(rules, Variety.of(products, night.shop.variety))
    reach = settings.k * REACH if limits.variety.most else settings.k
    individual = rules.weigh(rules.shortlist(model, personal, candidates, excluded, reach))
    short = short_of(individual, customers, limits, settings.k)
    popular = rules.weigh(rules.shortlist(popularity, short, candidates, excluded, reach))
    lists = ranked(individual, popular, limits, settings.k)
    write_parquet(
        lists.with_columns(run_date=pl.lit(night.run_date), model_version=pl.lit(model.version)).select(COLUMNS),
        night.recommendations,
    )
    reasons = _reasons(model, lists, learnt, products)
    write_parquet(reasons.select(pl.lit(night.run_date).alias("run_date"), pl.all()), night.reasons)

    lengths = lists.group_by("customer_id").len().get_column("len")
    counts: dict[str, int | str] = {
        "customers": len(customers),
        "with_list": len(lengths),
        "may_not_personalise": len(customers) - len(personal),
        "without_individual": len(customers) - individual.get_column("customer_id").n_unique(),
        "short_lists": len(customers) - int((lengths >= settings.k).sum()),
        "individual_rows": lists.filter(pl.col("source") == Source.INDIVIDUAL.value).height,
        "popular_rows": lists.filter(pl.col("source") == Source.POPULAR.value).height,
        "individual_rows_with_reason": reasons.filter(pl.col("place") == 1).height,
        "topic_rules": rules.rules.height,
        "rested_products": rested.height,
        "rows_moved_up": lists.get_column("because").count(),
        "eligible_products": len(candidates),
        "interactions": interactions.height,
        "factors": settings.factors,
        "model_version": model.version,
    }
    log.info("recommend: %s of %s customers have a list (%s)", counts["with_list"], counts["customers"], model.version)
    return counts


def _reasons(model: AlsModel, lists: pl.DataFrame, learnt: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """customer_id, rank, place, product_id, because_product_id, kind, share: what the individual rows come from.

    Ordered by customer_id, rank and place (from 1, the strongest). `kind` says what the customer did with the product
    that is the reason: bought, or looked_at for everything less. Sensitive products are never named.
    """
    individual = lists.filter(pl.col("source") == Source.INDIVIDUAL.value)
    nameable = products.filter(~pl.col("sensitive").fill_null(value=True)).get_column("product_id")
    kind = pl.when(pl.col("is_bought").fill_null(value=False))
    own = learnt.select(
        "customer_id",
        because_product_id="product_id",
        kind=kind.then(pl.lit(Reason.BOUGHT.value)).otherwise(pl.lit(Reason.LOOKED_AT.value)),
    )
    return (
        model.explain(individual.select("customer_id", "product_id"), learnt, nameable, REASONS)
        .join(individual.select("customer_id", "product_id", "rank"), on=["customer_id", "product_id"])
        .join(own, on=["customer_id", "because_product_id"])
        .select("customer_id", "rank", "place", "product_id", "because_product_id", "kind", "share")
        .sort("customer_id", "rank", "place")
    )


def _feature(night: Night, name: str) -> pl.DataFrame:
    path = night.features / f"{name}.parquet"
    if not path.is_file():
        raise StageInputMissing(f"{path}: missing. Run the features stage of {night.run_date} first.")
    return pl.read_parquet(path)
