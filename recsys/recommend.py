"""Stage `recommend`: learn tastes from all interactions, then make up to k recommendations for every customer.

Products that may not be recommended take part in the learning, since they tell about taste. Reads `features/`, writes
`model/` and `recommendations.parquet`.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from recsys.champion import RANKER
from recsys.config import Recommend
from recsys.errors import StageInputMissing
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList
from recsys.models.recommender import Recommender
from recsys.night import Night
from recsys.ranking import eligible, not_again, ranked, short_of
from recsys.tables import write_parquet
from recsys.topic_rules import TopicRules
from recsys.twostage.history import History
from recsys.twostage.lists import rank
from recsys.twostage.ranked import Ranked
from recsys.twostage.ranker import Ranker
from recsys.vocabulary import Source

DEPTH = 30
"""How many products a ranker names per customer, so that topic rules have something to choose from."""

COLUMNS = ["run_date", "customer_id", "rank", "product_id", "source", "score", "model_version", "because", "topic"]

log = logging.getLogger("recsys")


def run(night: Night) -> dict[str, int | str]:
    """Train, recommend, write; what comes back are counts.

    Customers who do not allow personalisation, customers without history, and places that no individual score fills,
    get popular products; the topic rules hold for these too. No interactions at all: everybody gets them. No eligible
    product: a table without rows, which the gate stops. Raises StageInputMissing when the features stage has not run,
    ModelError when the interactions cannot be learnt from.
    """
    features = Features.of(night)
    customers = features.customers.get_column("customer_id")
    learnt = Learnt.of(features, night.raw / "champion" / RANKER if night.recipe.kind == "two_stage" else None)
    learnt.model.save(night.model)
    lists = lists_of(features, learnt, customers, not_again(features.interactions, features.products))
    write_parquet(
        lists.with_columns(run_date=pl.lit(night.run_date), model_version=pl.lit(learnt.version)).select(COLUMNS),
        night.recommendations,
    )

    settings = features.settings
    individual = lists.filter(pl.col("source") == Source.INDIVIDUAL.value)
    lengths = lists.group_by("customer_id").len().get_column("len")
    counts: dict[str, int | str] = {
        "customers": len(customers),
        "with_list": len(lengths),
        "may_not_personalise": len(customers) - len(features.personal),
        "without_individual": len(customers) - individual.get_column("customer_id").n_unique(),
        "short_lists": len(customers) - int((lengths >= settings.k).sum()),
        "individual_rows": individual.height,
        "popular_rows": lists.filter(pl.col("source") == Source.POPULAR.value).height,
        "topic_rules": features.rules.rules.height,
        "rows_moved_up": lists.get_column("because").count(),
        "eligible_products": len(eligible(features.products)),
        "interactions": features.interactions.height,
        "factors": settings.factors,
        "model_version": learnt.version,
    }
    log.info("recommend: %s of %s customers have a list (%s)", counts["with_list"], counts["customers"], learnt.version)
    return counts


@dataclass(frozen=True)
class Features:
    """What the features stage handed on, as the files below `features/` have it, and the settings of the lists."""

    settings: Recommend
    end: datetime
    events: pl.DataFrame
    interactions: pl.DataFrame
    products: pl.DataFrame
    customers: pl.DataFrame
    customer_features: pl.DataFrame
    popularity: pl.DataFrame
    product_topics: pl.DataFrame
    rules: TopicRules

    @classmethod
    def of(cls, night: Night) -> "Features":
        """Those of a night. Raises StageInputMissing when the features stage has not run."""
        names = ("events", "interactions", "products", "customers", "customer_features", "popularity", "product_topics")
        frames = {name: _feature(night, name) for name in names}
        rules = TopicRules(_feature(night, "topic_rules"), frames["product_topics"], _feature(night, "due_products"))
        return cls(settings=night.recommend, end=night.end, rules=rules, **frames)

    @property
    def history(self) -> History:
        """The same as a ranker is to have it."""
        return History(self.end, self.events, self.products, self.product_topics, self.customer_features)

    @property
    def personal(self) -> pl.Series:
        """customer_ids of those who allow personalisation. Unknown counts as no."""
        return self.customers.filter(pl.col("may_personalise").fill_null(False)).get_column("customer_id")


@dataclass(frozen=True)
class Learnt:
    """What was learnt from features: the model and, if there is one, the ranker that orders candidates."""

    features: Features
    model: AlsModel
    ranker: Ranker | None = None

    @classmethod
    def of(cls, features: Features, ranker: Path | None = None) -> "Learnt":
        """Train the model; take the ranker from a folder. Raises ModelError when either cannot be had."""
        model = AlsModel.fit(features.interactions.filter(pl.col("weight") > 0), features.settings)
        threads = features.settings.threads
        return cls(features, model, Ranker.load(ranker, threads) if ranker else None)

    @property
    def version(self) -> str:
        """Equal versions give equal lists from equal features."""
        return self.model.version if self.ranker is None else f"{self.ranker.version}+{self.model.version}"

    def recommender(self, customers: pl.Series, excluded: pl.DataFrame) -> Recommender:
        """Whom to ask for individual products of these customers, of whom `excluded` (customer_id, product_id) may not
        be named."""
        if self.ranker is None:
            return self.model
        lists = rank(self.features.history, self.ranker, customers, excluded, max(DEPTH, self.features.settings.k))
        return Ranked(lists, self.model)


def lists_of(features: Features, learnt: Learnt, customers: pl.Series, excluded: pl.DataFrame) -> pl.DataFrame:
    """The lists of these customers as RANKED_SCHEMA; `excluded` (customer_id, product_id) is named to nobody."""
    k, rules = features.settings.k, features.rules
    candidates = eligible(features.products)
    personal = features.personal
    asked = personal.filter(personal.is_in(customers.implode()))
    recommender = learnt.recommender(asked, excluded)
    individual = rules.weigh(rules.shortlist(recommender, asked, candidates, excluded, k))
    short = short_of(individual, customers, rules, k)
    popular = rules.weigh(rules.shortlist(PopularList(features.popularity), short, candidates, excluded, k))
    return ranked(individual, popular, rules, k)


def _feature(night: Night, name: str) -> pl.DataFrame:
    path = night.features / f"{name}.parquet"
    if not path.is_file():
        raise StageInputMissing(f"{path}: missing. Run the features stage of {night.run_date} first.")
    return pl.read_parquet(path)
