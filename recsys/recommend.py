"""Stage `recommend`: learn tastes from all interactions, then make up to k recommendations for every customer.

Products that may not be recommended take part in the learning, since they tell about taste. Reads `features/`, writes
`model/`, `recommendations.parquet` and `reasons.parquet`.
"""

import logging

import polars as pl

from recsys.champion import RANKER
from recsys.lists import Features, Learnt
from recsys.models.als import AlsModel
from recsys.night import Night
from recsys.ranking import eligible
from recsys.tables import write_parquet
from recsys.vocabulary import OF_MODEL, Reason, Source

COLUMNS = [
    "run_date",
    "customer_id",
    "rank",
    "product_id",
    "source",
    "score",
    "model_version",
    "because",
    "topic",
    "context",
]

REASONS = 3
"""So many of the products that a score comes from are kept."""

log = logging.getLogger("recsys")


def run(night: Night) -> dict[str, int | str]:
    """Train, recommend, write; what comes back are counts.

    Customers who do not allow personalisation, customers without history, and places that no individual score fills,
    get popular products, those of topics they said they are interested in first; the topic rules hold for these too. No
    interactions at all: everybody gets them. No eligible product: a table without rows, which the gate stops. Raises
    StageInputMissing when the features stage has not run, ModelError when the interactions cannot be learnt from.
    """
    features = Features.of(night)
    settings, customers = features.settings, features.customers.get_column("customer_id")
    recipe = night.recipe
    ranker = night.raw / "champion" / RANKER if recipe.kind == "two_stage" else None
    learnt = Learnt.of(features, ranker, only_buyers=recipe.only_buyers)
    learnt.model.save(night.model)
    lists = learnt.lists(customers, features.excluded)
    lists = _in_context(lists, features.customers)
    write_parquet(
        lists.with_columns(run_date=pl.lit(night.run_date), model_version=pl.lit(learnt.version)).select(COLUMNS),
        night.recommendations,
    )
    individual = lists.filter(pl.col("source").is_in(OF_MODEL))
    spoken_for = individual if learnt.ranker is None else _spoken_for(learnt.model, individual)
    reasons = _reasons(learnt.model, spoken_for, features.tasted, features.products)
    write_parquet(reasons.select(pl.lit(night.run_date).alias("run_date"), pl.all()), night.reasons)

    sources = lists.get_column("source")
    lengths = lists.group_by("customer_id").len().get_column("len")
    counts: dict[str, int | str] = {
        "customers": len(customers),
        "with_list": len(lengths),
        "may_not_personalise": len(customers) - len(features.personal),
        "without_individual": len(customers) - individual.get_column("customer_id").n_unique(),
        "short_lists": len(customers) - int((lengths >= settings.k).sum()),
        **{f"{source.value}_rows": int((sources == source.value).sum()) for source in Source},
        "rows_with_reason": reasons.filter(pl.col("place") == 1).height,
        "topic_rules": features.limits.rules.rules.height,
        "rested_products": features.rested_products.height,
        "rows_moved_up": lists.get_column("because").count(),
        "eligible_products": len(eligible(features.products)),
        "interactions": features.interactions.height,
        "factors": settings.factors,
        "model_version": learnt.version,
    }
    log.info("recommend: %s of %s customers have a list (%s)", counts["with_list"], counts["customers"], learnt.version)
    return counts


def _in_context(lists: pl.DataFrame, customers: pl.DataFrame) -> pl.DataFrame:
    """The lists with `context`: whose popular list a popular or content row comes from; null for everybody's."""
    is_popular = ~pl.col("source").is_in(OF_MODEL)
    contexts = customers.select("customer_id", pl.col("context").cast(pl.String))
    return lists.join(contexts, on="customer_id", how="left", maintain_order="left").with_columns(
        context=pl.when(is_popular).then("context")
    )


def _spoken_for(model: AlsModel, individual: pl.DataFrame) -> pl.DataFrame:
    """The rows of a ranker that the model of tastes, of which reasons speak, would itself have among its best."""
    pair = ["customer_id", "product_id"]
    return individual.join(model.among_best(individual.select(pair)), on=pair, how="semi", maintain_order="left")


def _reasons(model: AlsModel, individual: pl.DataFrame, learnt: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """customer_id, rank, place, product_id, because_product_id, kind, share: what speaks for these rows of the model's.

    Ordered by customer_id, rank and place (from 1, the strongest). `kind` says what the customer did with the product
    that is the reason: bought, or looked_at for everything less. Sensitive products are never named. A row that the
    model all in all speaks against has none.
    """
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
