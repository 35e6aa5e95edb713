"""What lists are worth by the demo shop's hidden truth, beside the best that anybody could make; see recsys.demo.truth.

A list is worth the products on it that its customer is expected to buy in the days after. Somebody who has not ordered
yet counts as one who orders as often as the average customer.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys.demo.purchases import MORE_PER_PRODUCT, ORDERS_PER_YEAR
from recsys.demo.shop import write_demo
from recsys.evaluation.fold import open_fold
from recsys.evaluation.rivals import Then, segment_popular
from recsys.features import run as make_features
from recsys.ingest.stage import run as take_in
from recsys.lists import Features, Learnt
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList
from recsys.models.recommender import Recommender
from recsys.night import Night
from recsys.pipeline import open_night
from recsys.ranking import eligible, numbered
from recsys.twostage.lessons import Lesson
from recsys.twostage.ranker import Ranker

PAIR = ["customer_id", "product_id"]
LINES_PER_ORDER = 2
SHOP_FILE = Path(__file__).resolve().parents[1] / "examples" / "demo" / "shop.yaml"


def chances(truth: Path, begin: date, days: int) -> pl.DataFrame:
    """customer_id, product_id, chance: how likely it is bought within so many days from `begin`; only above 0.

    Out of taste, at an average pace, or by a rhythm that goes on: at least once every `every_days`.
    """
    categories, styles, customers, products, seasons, weeks, rhythms = (
        pl.read_parquet(truth / f"{name}.parquet")
        for name in ("categories", "styles", "customers", "products", "seasons", "product_weeks", "rhythms")
    )
    tastes = customers.get_column("category_taste").to_numpy(), customers.get_column("style_taste").to_numpy()
    of_category, of_style = (np.stack(list(taste)) for taste in tastes)
    category = products["category"].replace_strict(categories["category"], pl.int_range(len(categories), eager=True))
    style = products["style"].replace_strict(styles["style"], pl.int_range(len(styles), eager=True))
    picks = np.zeros((len(customers), len(products)))
    for monday in seasons.get_column("week").unique().sort():
        within = min(monday + timedelta(days=7), begin + timedelta(days=days)) - max(monday, begin)
        if within.days <= 0:
            continue
        factors = categories.join(seasons.filter(week=monday), on="category", how="left", maintain_order="left")
        wanted = of_category * factors.get_column("factor").to_numpy()
        sold = products.join(weeks.filter(week=monday), on="product_id", how="left", maintain_order="left")
        probability = sold.get_column("probability").fill_null(0).to_numpy()
        share = (wanted / wanted.sum(axis=1, keepdims=True))[:, category] * of_style[:, style]
        picks += within.days * share * probability
    pace = customers.get_column("orders_expected").to_numpy()
    per_day = (ORDERS_PER_YEAR + MORE_PER_PRODUCT / len(products)) / 365 * LINES_PER_ORDER
    missed = np.exp(-np.where(pace > 0, pace, 1.0)[:, None] * per_day * picks)
    until = begin + timedelta(days=days - 1)
    first, last = pl.max_horizontal("first_date", pl.lit(begin)), pl.min_horizontal("last_date", pl.lit(until))
    active = rhythms.with_columns(days=(last - first).dt.total_days() + 1).filter(pl.col("days") > 0)
    again = active.group_by(PAIR).agg(
        misses=(1 - (pl.col("days") / pl.col("every_days")).clip(upper_bound=1.0)).product()
    )
    row, column = np.nonzero(missed < 1)
    taste = pl.DataFrame(
        {
            "customer_id": customers.get_column("customer_id").gather(row),
            "product_id": products.get_column("product_id").gather(column),
            "missed": missed[row, column],
        }
    )
    both = taste.join(again, on=PAIR, how="full", coalesce=True).with_columns(pl.col("missed", "misses").fill_null(1))
    return both.select(*PAIR, chance=1 - pl.col("missed") * pl.col("misses")).sort(PAIR)


def shares(lists: pl.DataFrame, best: pl.DataFrame, worth: pl.DataFrame) -> pl.DataFrame:
    """customer_id, share: what each customer's list is worth of the best one; nobody whose best is worth nothing."""

    def total(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(worth, on=PAIR).group_by("customer_id").agg(pl.col("chance").sum())

    both = total(best).filter(pl.col("chance") > 0).join(total(lists), on="customer_id", how="left", suffix="_had")
    return both.select("customer_id", share=pl.col("chance_had").fill_null(0) / pl.col("chance")).sort("customer_id")


def made(folder: Path, customers: int) -> Night:
    """The last night of a new demo shop, up to its features."""
    write_demo(folder, customers=customers)
    text = SHOP_FILE.read_text(encoding="utf-8").replace("../../data/demo", ".")
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    night = open_night(folder / "shop.yaml", date(2026, 8, 31))
    take_in(night)
    make_features(night)
    return night


def lessons(night: Night) -> Iterator[Lesson]:
    """What the closed windows before the night's end teach."""
    for back in range(1, night.shop.evaluate.folds + 1):
        with open_fold(night, night.shop.evaluate.window_days, back) as fold:
            if not fold.bought.is_empty():
                yield Lesson(Features.of(fold.night).history, fold.bought)


def measured(night: Night, truth: Path, ranker: Ranker) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Per recommender and kind of customers the `shares` of the night's lists."""
    features, days = Features.of(night), night.shop.evaluate.window_days
    model = AlsModel.fit(features.weighted, features.settings)
    rules = features.limits.rules.rules.filter(effect="exclude").select("customer_id", "topic")
    barred = pl.concat([features.excluded, rules.join(features.product_topics, on="topic").select(PAIR)]).unique()
    asked, candidates, k = features.personal.sort(), eligible(features.products), features.settings.k
    worth = chances(truth, night.run_date + timedelta(days=1), days)
    allowed = worth.filter(
        pl.col("customer_id").is_in(asked.implode()), pl.col("product_id").is_in(candidates.implode())
    )
    best = numbered(allowed.join(barred, on=PAIR, how="anti").rename({"chance": "score"}), k)
    popular = PopularList(features.popularity)
    bought = features.interactions.filter("is_bought").select(PAIR)
    segments = features.customer_features.select("customer_id", "segment")
    rivals: dict[str, Recommender] = {
        "popular, 28 days": popular,
        "popular in the segment": segment_popular(segments, bought, features.popularity),
        "the model alone": Then(model, popular),
        "two stages": Then(Learnt(features, model, ranker).recommender(asked, barred), popular),
        "two stages for buyers": Then(
            Learnt(features, model, ranker, only_buyers=True).recommender(asked, barred), popular
        ),
    }
    has_bought = bought.get_column("customer_id").unique()
    for name, rival in rivals.items():
        found = shares(numbered(rival.recommend(asked, candidates, barred, k), k), best, worth)
        known = pl.col("customer_id").is_in(has_bought.implode())
        yield name, "have bought", found.filter(known)
        yield name, "have not", found.filter(~known)
