"""How lists are made from features: what is learnt, who is asked for products, and which limits hold.

The night makes its lists with it, and the evaluation those of earlier nights; so what is measured is what ships.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from recsys.errors import StageInputMissing
from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList, PopularOf
from recsys.models.recommender import Recommender
from recsys.night import Night
from recsys.ranking import Limits, eligible, not_again, numbered, ranked, short_of
from recsys.topic_rules import TopicRules
from recsys.twostage.history import History
from recsys.twostage.lists import rank_of, with_newcomers
from recsys.twostage.pool import Pool
from recsys.twostage.ranked import Ranked
from recsys.twostage.ranker import Ranker
from recsys.twostage.ranker_settings import RankerSettings
from recsys.variety import Variety

REACH = 8
"""Shortlists are so many times as long as lists where categories or brands are limited, so that lists still fill."""
DEPTH = 30
"""How many products a ranker names per customer, so that topic rules have something to choose from."""
SWAP_DEPTH = 100
"""How many where nothing is excluded yet, so that what may not be named can go."""


@dataclass
class Kept:
    """What was made of features, to be made once: none of it depends on the settings of the lists."""

    history: History | None = None
    pools: dict[str, Pool] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """What the features stage handed on, as the files below `features/` have it, and the settings of the lists."""

    settings: Recommend
    end: datetime
    folder: Path
    interactions: pl.DataFrame
    products: pl.DataFrame
    customers: pl.DataFrame
    popularity: pl.DataFrame
    popularity_by_country: pl.DataFrame
    product_topics: pl.DataFrame
    rested_products: pl.DataFrame
    limits: Limits
    kept: Kept = field(default_factory=Kept, repr=False, compare=False)
    """Shared by copies with other settings."""

    @classmethod
    def of(cls, night: Night) -> "Features":
        """Those of a night. Raises StageInputMissing when the features stage has not run."""
        names = (
            *("interactions", "products", "customers", "popularity", "popularity_by_country"),
            *("product_topics", "rested_products"),
        )
        folder = night.features
        frames = {name: _feature(folder, name) for name in names}
        rules = TopicRules(_feature(folder, "topic_rules"), frames["product_topics"], _feature(folder, "due_products"))
        limits = Limits(rules, Variety.of(frames["products"], frames["interactions"], night.shop.variety))
        return cls(settings=night.recommend, end=night.end, folder=folder, limits=limits, kept=Kept(), **frames)

    @cached_property
    def customer_features(self) -> pl.DataFrame:
        """What dbt says about each customer who allows personalisation. Read when first asked for."""
        return _feature(self.folder, "customer_features")

    @property
    def history(self) -> History:
        """All that is known, event by event, as a ranker is to have it. Read when first asked for."""
        if self.kept.history is None:
            events = _feature(self.folder, "events")
            self.kept.history = History(self.end, events, self.products, self.product_topics, self.customer_features)
        return self.kept.history

    def pool(self, settings: RankerSettings) -> Pool:
        """What rankers of these settings draw from, made when first asked for. Raises ModelError as `AlsModel.fit`."""
        key = f"{settings.tastes.model_dump_json()} {settings.counts}"
        if key not in self.kept.pools:
            self.kept.pools[key] = Pool(self.history, settings.tastes, settings.counts)
        return self.kept.pools[key]

    @property
    def weighted(self) -> pl.DataFrame:
        """The interactions that a model learns from: weight above 0."""
        return self.interactions.filter(pl.col("weight") > 0)

    @cached_property
    def tasted(self) -> pl.DataFrame:
        """The interactions that tastes come from: `weighted`, and of customers without any within `window_days` all."""
        if self.settings.window_days is None:
            return self.weighted
        recent = self.weighted
        older = self.history.weighted(_without_window(self.settings))
        was_bought = self.interactions.select("customer_id", "product_id", "is_bought")
        return pl.concat(
            [
                recent.select("customer_id", "product_id", "weight", "is_bought"),
                older.join(recent, on="customer_id", how="anti")
                .join(was_bought, on=["customer_id", "product_id"], how="left")
                .select("customer_id", "product_id", "weight", "is_bought"),
            ]
        )

    @property
    def excluded(self) -> pl.DataFrame:
        """customer_id, product_id: what may not be named to whom tonight, because it is had or has to rest."""
        had = not_again(self.interactions, self.products)
        return pl.concat([had, self.rested_products]).unique(maintain_order=True)

    @property
    def popular(self) -> Recommender:
        """Names what is popular in a customer's context, else everywhere."""
        overall = PopularList(self.popularity)
        return PopularOf(self.customers.select("customer_id", "context"), self.popularity_by_country, overall)

    @property
    def personal(self) -> pl.Series:
        """customer_ids of those who allow personalisation. Unknown counts as no."""
        return self.customers.filter(pl.col("may_personalise").fill_null(False)).get_column("customer_id")

    def asked(self, customers: pl.Series) -> pl.Series:
        """Those of the customers who allow personalisation, in the order of the table."""
        return self.personal.filter(self.personal.is_in(customers.implode()))

    def lists(
        self, individual: Recommender, popular: Recommender, customers: pl.Series, excluded: pl.DataFrame
    ) -> pl.DataFrame:
        """Lists of these customers as RANKED_SCHEMA: what the first recommender names, and after it the second.

        The customers' topic rules and the limits for everybody hold, whoever recommends; pairs of `excluded`
        (customer_id, product_id) are not named. Only those who allow personalisation get anything of the first.
        """
        k, limits, candidates = self.settings.k, self.limits, eligible(self.products)
        rules, reach = limits.rules, k * REACH if limits.variety.most else k
        named = rules.weigh(rules.shortlist(individual, self.asked(customers), candidates, excluded, reach))
        short = short_of(named, customers, limits, k)
        more = rules.weigh(rules.shortlist(popular, short, candidates, excluded, reach))
        return ranked(named, more, limits, k)


@dataclass(frozen=True)
class Learnt:
    """What was learnt from features: the model and, if there is one, the ranker that orders candidates.

    `only_buyers`: the ranker orders the lists of those who have bought something, the model makes all others.
    """

    features: Features
    model: AlsModel
    ranker: Ranker | None = None
    only_buyers: bool = False

    @classmethod
    def of(cls, features: Features, ranker: Path | None = None, *, only_buyers: bool = False) -> "Learnt":
        """Train the model; take the ranker from a folder. Raises ModelError when either cannot be had."""
        model = AlsModel.fit(features.weighted, features.settings).with_customers(features.tasted)
        model = model.with_products(eligible(features.products), features.product_topics)
        return cls(features, model, Ranker.load(ranker, features.settings.threads) if ranker else None, only_buyers)

    @property
    def version(self) -> str:
        """Equal versions give equal lists from equal features."""
        if self.ranker is None:
            return self.model.version
        return f"{self.ranker.version}{'-buyers' if self.only_buyers else ''}+{self.model.version}"

    def recommender(self, customers: pl.Series, excluded: pl.DataFrame) -> Recommender:
        """Whom to ask for individual products of these customers; pairs of `excluded` are not named."""
        if self.ranker is None:
            return self.model
        ordered = self._ordered(customers)
        lists = self._ranked(self.ranker, ordered, excluded, max(DEPTH, self.features.settings.k))
        candidates = eligible(self.features.products)
        touched = self.features.history.events.get_column("product_id").unique()
        newcomers = candidates.filter(~candidates.is_in(touched.implode()))
        if len(newcomers):
            k = self.features.settings.k
            named = numbered(self.model.recommend(ordered, candidates, excluded, k), k)
            lists = with_newcomers(lists, named.filter(pl.col("product_id").is_in(newcomers.implode())))
        return Ranked(lists, self.model)

    def of_everything(self, customers: pl.Series) -> pl.DataFrame | None:
        """What the ranker alone says of each of those whose lists it orders, nothing excluded (LIST_SCHEMA, SWAP_DEPTH
        rows); None without one."""
        if self.ranker is None:
            return None
        nothing = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})
        return self._ranked(self.ranker, self._ordered(customers), nothing, SWAP_DEPTH)

    def _ordered(self, customers: pl.Series) -> pl.Series:
        """Those of the customers whose lists the ranker orders."""
        if not self.only_buyers:
            return customers
        buyers = self.features.interactions.filter("is_bought").get_column("customer_id").unique()
        return customers.filter(customers.is_in(buyers.implode()))

    def _ranked(self, ranker: Ranker, customers: pl.Series, excluded: pl.DataFrame, n: int) -> pl.DataFrame:
        return rank_of(self.features.pool(ranker.settings), ranker, customers, excluded, n)

    def lists(self, customers: pl.Series, excluded: pl.DataFrame) -> pl.DataFrame:
        """The lists of these customers as RANKED_SCHEMA; `excluded` (customer_id, product_id) are not named."""
        asked = self.features.asked(customers)
        return self.features.lists(self.recommender(asked, excluded), self.features.popular, customers, excluded)


def model_of(history: History, settings: Recommend) -> AlsModel:
    """The model trained on a history with these settings; who did nothing within `window_days` is folded in."""
    model = AlsModel.fit(history.weighted(settings), settings)
    return model if settings.window_days is None else model.with_customers(history.weighted(_without_window(settings)))


def _without_window(settings: Recommend) -> Recommend:
    return settings.model_copy(update={"window_days": None})


def _feature(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise StageInputMissing(f"{path}: missing. Run the features stage of {folder.parent.name} first.")
    return pl.read_parquet(path)
