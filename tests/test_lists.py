"""Whose lists the ranker orders, and who makes the others."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from test_ranking import NO_RULES
from twostage_shop import END, events, products, ranker

from recsys.lists import Features, Kept, Learnt
from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.models.recommender import Recommender
from recsys.ranking import Limits
from recsys.twostage.history import EVENTS, History

PAIR = ["customer_id", "product_id"]
LOOKED = pl.DataFrame(
    [("zoe", what, None, "view", 1, None, END - timedelta(days=2)) for what in ("axe", "bolt", "drill")],
    schema=EVENTS,
    orient="row",
)
NOTHING = pl.DataFrame(schema=dict.fromkeys(PAIR, pl.String))
ASKED = pl.Series(["c03", "c19", "zoe"])


@pytest.fixture(scope="module")
def features() -> Features:
    """The toy shop of tea drinkers and tool users, and Zoe, who looked at tools and bought nothing."""
    history = History(END, pl.concat([events(), LOOKED]), products())
    settings = Recommend(factors=4, threads=1, k=3)
    bought = history.orders().select(PAIR).unique().with_columns(is_bought=pl.lit(value=True))
    interactions = history.weighted(settings).join(bought, on=PAIR, how="left")
    none = pl.DataFrame()
    return Features(
        settings=settings,
        end=END,
        folder=Path(),
        interactions=interactions.with_columns(pl.col("is_bought").fill_null(value=False)),
        products=history.products,
        customers=none,
        popularity=none,
        popularity_by_country=none,
        product_topics=history.topics,
        rested_products=NOTHING,
        limits=Limits(NO_RULES),
        kept=Kept(history),
    )


def named(recommender: Recommender, features: Features) -> dict[str, list[str]]:
    candidates = features.products.get_column("product_id")
    lists = recommender.recommend(ASKED, candidates, NOTHING, 3).sort(
        "customer_id", "score", "product_id", descending=[False, True, False]
    )
    return {who: lists.filter(customer_id=who)["product_id"].to_list() for who in ASKED}


def test_the_ranker_may_order_the_lists_of_buyers_alone(features: Features) -> None:
    model = AlsModel.fit(features.weighted, features.settings)
    alone, both = Learnt(features, model), Learnt(features, model, ranker())
    of_buyers = Learnt(features, model, both.ranker, only_buyers=True)
    by_model, by_ranker, found = (
        named(learnt.recommender(ASKED, NOTHING), features) for learnt in (alone, both, of_buyers)
    )
    assert by_model["zoe"] != by_ranker["zoe"]
    assert found == {"c03": by_ranker["c03"], "c19": by_ranker["c19"], "zoe": by_model["zoe"]}
    assert len({alone.version, both.version, of_buyers.version}) == 3
    said = of_buyers.of_everything(ASKED)
    assert said is not None
    assert said["customer_id"].unique().sort().to_list() == ["c03", "c19"]
