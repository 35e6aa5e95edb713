"""How good lists are on real data with known figures; run as scripts/quality, the table goes to the README.

Settings were chosen on windows before the test part: docs/decisions/ranker.md says how.
"""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import duckdb
import numpy as np
import polars as pl

from recsys.evaluation.interval import intervals
from recsys.evaluation.metrics import accuracy
from recsys.evaluation.rivals import ItemCosine, OwnHistory, Then
from recsys.model_settings import Recommend, Weights
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList
from recsys.models.recommender import Recommender
from recsys.ranking import numbered
from recsys.twostage.history import History
from recsys.twostage.lessons import Lesson
from recsys.twostage.lists import rank
from recsys.twostage.ranked import Ranked
from recsys.twostage.ranker import Ranker
from recsys.twostage.ranker_settings import RankerSettings
from recsys.vocabulary import Interaction
from tests.demo_worth import lessons, made, measured

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PAIR = ["customer_id", "product_id"]
TEST, DAYS, LESSONS = datetime(2011, 11, 9), 30, (30, 45, 60, 75, 90, 105)
KINDS = {kind: float(getattr(Weights(), kind.value)) for kind in Interaction}

REGULARIZATION = {512: 80.0}
"""Of Gowalla, per number of factors: chosen by training on train and looking at valid."""
DAMPING = 0.4
"""A visit to a place of n visitors weighs n ** -DAMPING, divided by the mean of these: chosen likewise."""

_LINES = r"""
    COPY (
        SELECT regexp_replace(CustomerID, '\.0$', '') AS customer_id, StockCode AS product_id, InvoiceNo AS order_id,
            'order' AS kind, Quantity::BIGINT AS quantity, UnitPrice::DOUBLE AS unit_price,
            InvoiceDate::TIMESTAMP AS occurred_at, Description AS name
        FROM read_csv($files, all_varchar = true, header = true, delim = ',', quote = '"')
        WHERE CustomerID IS NOT NULL AND Quantity::BIGINT > 0 AND UnitPrice::DOUBLE > 0 AND InvoiceNo NOT LIKE 'C%'
            AND regexp_matches(StockCode, '^[0-9]{5}')
    ) TO $target (FORMAT parquet)
"""


def lines(folder: Path) -> pl.DataFrame:
    """The lines of known customers, with the known figures' filter."""
    target = folder / "lines.parquet"
    files = [str(path) for path in sorted((DATA / "online_retail" / "by-day").glob("*.csv"))]
    with duckdb.connect() as con:
        con.execute(_LINES.replace("$target", f"'{target}'"), {"files": files})
    found = pl.read_parquet(target)
    counts = found.get_column("customer_id").n_unique(), found.select(PAIR).n_unique()
    assert counts == (4_334, 266_221), f"another filter: {counts}"
    return found


def online_retail(folder: Path) -> None:
    """Print NDCG@10 of every recommender for what was bought next and for products new to the customer.

    Products, and their names, are those of lines before the cut.
    """
    events = lines(folder)

    def known(back: int) -> History:
        end = TEST - timedelta(days=back)
        seen = events.filter(pl.col("occurred_at") < end)
        products = seen.group_by("product_id").agg(pl.col("name").drop_nulls().mode().sort().first(), is_eligible=True)
        return History(end, seen.drop("name"), products)

    def bought(back: int) -> pl.DataFrame:
        begin = TEST - timedelta(days=back)
        window = pl.col("occurred_at").is_between(begin, begin + timedelta(days=DAYS), closed="left")
        return events.filter(window).select(PAIR).unique()

    history = known(0)
    customers = history.events.get_column("customer_id").unique().sort()
    catalogue = history.products.get_column("product_id")
    had = history.events.select(PAIR).unique()
    relevant = bought(0).join(customers.to_frame(), on="customer_id", how="semi")
    started = perf_counter()
    settings = RankerSettings()
    ranker = Ranker.fit((Lesson(known(back), bought(back)) for back in LESSONS), settings)
    print(f"ranker: {len(LESSONS)} windows, {perf_counter() - started:.0f} s")
    als = AlsModel.fit(history.weights(60, KINDS), Recommend(alpha=3.0))
    popular = PopularList(_popularity(history, 28))
    own = Then(OwnHistory(history.weights(60, KINDS)), popular)
    rivals: dict[str, Recommender | None] = {
        "popular of all time": PopularList(_popularity(history, 10_000)),
        "popular, 28 days": popular,
        "own history, then popular": own,
        "item-item cosine": Then(ItemCosine(history.weights(60, KINDS)), popular),
        "ALS, 64 factors, half-life 60 days, alpha 3": Then(als, popular),
        "two stages": None,
    }
    for task, excluded in (("next purchases", had.clear()), ("new to the customer", had)):
        truth = relevant.join(excluded, on=PAIR, how="anti")
        asked = truth.get_column("customer_id").unique().sort()
        print(f"\n{task}: {len(asked):,} customers, NDCG@10 (95 % interval)")
        for name, rival in rivals.items():
            recommender = rival or Then(Ranked(rank(history, ranker, asked, excluded, 30), als), popular)
            found = numbered(recommender.recommend(asked, catalogue, excluded, 10), 10)
            _show(name, accuracy(found, truth, asked, 10), ("ndcg",))


def gowalla(factors: int) -> None:
    """Print Recall@20 and NDCG@20 of the model alone, trained on train and valid, as the published figures are."""
    base = DATA / "gowalla"
    train = pl.concat([_checkins(base / "train.txt"), _checkins(base / "valid.txt")]).unique()
    truth = _checkins(base / "test.txt").unique()
    started = perf_counter()
    settings = Recommend(factors=factors, alpha=40.0, regularization=REGULARIZATION.get(factors, 0.01), iterations=15)
    damped = pl.len().over("product_id").cast(pl.Float64) ** -DAMPING
    model = AlsModel.fit(train.with_columns(weight=damped / damped.mean()), settings)
    asked = truth.get_column("customer_id").unique().sort()
    catalogue = train.get_column("product_id").unique().sort()
    found = numbered(model.recommend(asked, catalogue, train, 20), 20)
    print(f"\ngowalla, plain ALS: {len(asked):,} customers, {perf_counter() - started:.0f} s")
    _show(
        f"{factors} factors, alpha 40, regularization {settings.regularization:g}, damping {DAMPING:g}",
        accuracy(found, truth, asked, 20),
        ("recall", "ndcg"),
    )


def gowalla_two_stages() -> None:
    """Print Recall@20 and NDCG@20 of two stages: learnt from train for valid, then asked with both for test.

    Nothing is known but who was where: everything happens at one moment, and each customer's places are one order.
    """
    base = DATA / "gowalla"
    train, valid, test = (_checkins(base / f"{part}.txt").unique() for part in ("train", "valid", "test"))
    products = pl.concat([train, valid]).select("product_id").unique().with_columns(is_eligible=True)
    end = datetime(2020, 1, 2)
    at_once = {"kind": pl.lit("order"), "quantity": pl.lit(1, pl.Int64), "occurred_at": pl.lit(end - timedelta(days=1))}

    def known(pairs: pl.DataFrame) -> History:
        return History(end, pairs.with_columns(order_id="customer_id", **at_once), products)

    started = perf_counter()
    tastes = Recommend(factors=128, alpha=40.0, regularization=10.0, iterations=10)
    ranker = Ranker.fit([Lesson(known(train), valid)], RankerSettings(tastes=tastes))
    asked, had = test.get_column("customer_id").unique().sort(), pl.concat([train, valid])
    lists = rank(known(had), ranker, asked, had, 20)
    print(f"\ngowalla, two stages: {len(asked):,} customers, {perf_counter() - started:.0f} s")
    _show(
        "128 factors, alpha 40, regularization 10", accuracy(numbered(lists, 20), test, asked, 20), ("recall", "ndcg")
    )


def demo(folder: Path) -> None:
    """Print what lists of the demo shop are worth by its hidden truth: the share of the best possible list."""
    night = made(folder, 2_000)
    ranker = Ranker.fit(lessons(night), RankerSettings())
    print("\ndemo shop, 2,000 customers: share of the best possible list (95 % interval)")
    for name, kind, found in measured(night, folder / "truth", ranker):
        _show(f"{name}; {len(found):,} who {kind}", found, ("share",))


def _popularity(history: History, days: int) -> pl.DataFrame:
    recent = history.events.filter(pl.col("occurred_at") >= history.end - timedelta(days=days))
    counted = recent.group_by("product_id").agg(buyers=pl.col("customer_id").n_unique())
    ordered = counted.sort("buyers", "product_id", descending=[True, False])
    return ordered.select("product_id", rank=pl.int_range(1, pl.len() + 1))


def _checkins(path: Path) -> pl.DataFrame:
    def pairs() -> Iterator[tuple[str, str]]:
        for line in path.read_text().splitlines():
            customer, *products = line.split()
            yield from ((customer, product) for product in products)

    return pl.DataFrame(list(pairs()), schema=dict.fromkeys(PAIR, pl.String), orient="row")


def _show(name: str, values: pl.DataFrame, metrics: tuple[str, ...]) -> None:
    found = intervals(values.select("customer_id", *metrics), seed=1)
    shown = [f"{metric} {mean:.4f} ({low:.4f} to {high:.4f})" for metric, _, mean, low, high in found.iter_rows()]
    print(f"  {name:<36} {', '.join(shown)}", flush=True)


def main(folder: Path, parts: list[str]) -> None:
    for part in parts:
        if part == "online_retail":
            online_retail(folder)
        elif part == "demo":
            demo(folder / "demo")
        elif part == "gowalla-two-stages":
            gowalla_two_stages()
        else:
            gowalla(int(part.partition("-")[2] or 128))


if __name__ == "__main__":
    import tempfile

    np.seterr(all="raise", under="ignore")
    with tempfile.TemporaryDirectory(prefix="quality-") as scratch:
        main(Path(scratch), sys.argv[1:])
