"""Products that nobody has touched yet find their customers by what is said about them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.model_settings import Recommend
from recsys.models.als import AlsModel

TEAS, TOOLS = [f"tea{i}" for i in range(6)], [f"tool{i}" for i in range(6)]
NEW = pl.Series(["mystery", "sencha", "wrench"])
NOBODY = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})


def shop() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Customers t0 to t9 each buy four teas, those from w0 on four tools; sencha is a tea, wrench a tool."""
    bought = [
        (f"{letter}{who}", products[(who + step) % 6])
        for letter, products in (("t", TEAS), ("w", TOOLS))
        for who in range(10)
        for step in range(4)
    ]
    interactions = pl.DataFrame(bought, schema=["customer_id", "product_id"], orient="row").with_columns(weight=1.0)
    topics = [
        *((tea, "tea") for tea in (*TEAS, "sencha")),
        *((tool, "tools") for tool in (*TOOLS, "wrench")),
        *((odd, "for everybody") for odd in ("tea0", "tool0", "wrench", "sencha")),
        ("mystery", "nobody has this"),
    ]
    return interactions, pl.DataFrame(topics, schema=["product_id", "topic"], orient="row")


@pytest.fixture(scope="module")
def model() -> AlsModel:
    return AlsModel.fit(shop()[0], Recommend(factors=8, threads=1))


def test_a_new_tea_is_for_those_who_buy_teas(model: AlsModel) -> None:
    known = model.with_products(NEW, shop()[1])
    lists = known.recommend(pl.Series(["t1", "w1"]), NEW, NOBODY, 1)
    assert dict(lists.select("customer_id", "product_id").iter_rows()) == {"t1": "sencha", "w1": "wrench"}


def test_of_what_nobody_else_has_nothing_is_known(model: AlsModel) -> None:
    known = model.with_products(NEW, shop()[1])
    assert "mystery" not in known.vectors[1]
    assert model.with_products(pl.Series(["mystery"]), shop()[1]) is model


def test_scores_of_everything_else_stay(model: AlsModel) -> None:
    known = model.with_products(NEW, shop()[1])
    asked = (pl.Series(["t1", "w1"]), pl.Series([*TEAS, *TOOLS]), NOBODY, 12)
    assert known.recommend(*asked).equals(model.recommend(*asked))
    assert known.version != model.version


def test_reasons_of_a_newcomer_add_up_to_its_score(model: AlsModel) -> None:
    interactions, topics = shop()
    known = model.with_products(NEW, topics)
    own = interactions.with_columns(is_bought=pl.lit(value=True))
    row = pl.DataFrame({"customer_id": ["t1"], "product_id": ["sencha"]})
    reasons = known.explain(row, own, pl.Series([*TEAS, *TOOLS]), 10)
    assert reasons["share"].sum() == pytest.approx(1)
    assert set(reasons["because_product_id"]) <= set(TEAS)


def test_it_is_read_as_it_was_saved_whatever_the_order_of_rows(model: AlsModel, tmp_path: Path) -> None:
    topics = shop()[1]
    known = model.with_products(NEW, topics)
    known.save(tmp_path)
    read = AlsModel.load(tmp_path)
    shuffled = model.with_products(NEW.shuffle(3), topics.sample(fraction=1, shuffle=True, seed=3))
    for other in (read, shuffled):
        assert other.version == known.version
        assert all(np.array_equal(one, two) for one, two in zip(known.vectors[2:], other.vectors[2:], strict=True))
    late = pl.DataFrame({"customer_id": ["late"], "product_id": ["tea1"], "weight": [1.0]})
    assert read.with_customers(late).version == known.with_customers(late).version


def test_hidden_products_go_to_those_who_did_buy_them() -> None:
    """600 customers of 12 interests, 240 products with two topics each; of 40 products all purchases are hidden."""
    chance = np.random.default_rng(5)
    interests = chance.integers(0, 12, size=(600, 2))
    topics = np.stack([chance.permutation(12)[:2] for _ in range(240)])
    likes = (topics[None, :, :, None] == interests[:, None, None, :]).any(axis=(2, 3))
    bought = chance.random((600, 240)) < np.where(likes, 0.15, 0.01)
    who, what = np.nonzero(bought)
    every = pl.DataFrame({"customer_id": [f"c{i:03}" for i in who], "product_id": [f"p{i:03}" for i in what]})
    hidden = pl.Series([f"p{i:03}" for i in range(40)])
    taken = every.filter(~pl.col("product_id").is_in(hidden.implode())).with_columns(weight=1.0)
    pairs = [(f"p{product:03}", f"topic {topic}") for product in range(240) for topic in topics[product]]
    said = pl.DataFrame(pairs, schema=["product_id", "topic"], orient="row")
    model = AlsModel.fit(taken, Recommend(factors=16, threads=1)).with_products(hidden, said)
    people = taken.get_column("customer_id").unique().sort()
    found = model.recommend(people, hidden, NOBODY, 5)
    hits = found.join(every, on=["customer_id", "product_id"], how="semi").height
    by_chance = bought[:, :40].mean() * found.height
    assert hits > 2 * by_chance
