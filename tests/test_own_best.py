"""What a model of tastes would by itself put among a customer's best, and what a two-stage list says of the rest."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from thorough import tries

from recsys import recommend
from recsys.model_settings import Recommend
from recsys.models.als import AlsModel
from recsys.models.own_best import DEVIATIONS, is_among_best
from recsys.vocabulary import OF_MODEL

SHELVES = {"tea": [f"tea{i}" for i in range(4)], "tool": [f"tool{i:02}" for i in range(40)]}


def interactions() -> pl.DataFrame:
    """Tea drinkers buy three of four teas, tool users a stretch of the shelf; nobody crosses over."""
    rows = [(f"t{who}", SHELVES["tea"][(who + i) % 4]) for who in range(12) for i in range(3)]
    rows += [(f"u{who:02}", SHELVES["tool"][(who + i) % 40]) for who in range(40) for i in range(6)]
    pairs = pl.DataFrame(rows, schema=["customer_id", "product_id"], orient="row")
    return pairs.with_columns(weight=pl.lit(1.0), is_bought=pl.lit(value=True))


@settings(max_examples=tries(60), deadline=None)
@given(seed=st.integers(0, 10_000), factors=st.integers(1, 6), count=st.integers(1, 60))
def test_they_lie_two_deviations_above_the_mean_and_are_a_fifth_of_all_products_at_most(seed, factors, count):
    random = np.random.default_rng(seed)
    customers = random.normal(size=(7, factors)).astype(np.float32)
    products = (random.normal(size=(count, factors)) ** 3 + 0.5).astype(np.float32)
    rows, columns = (places.ravel().astype(np.int32) for places in np.indices((7, count)))
    order = random.permutation(len(rows))
    found = np.zeros(len(rows), dtype=bool)
    found[order] = is_among_best(customers, products, rows[order], columns[order])
    scores = customers.astype(np.float64) @ products.T.astype(np.float64)
    least = scores.mean(axis=1) + DEVIATIONS * scores.std(axis=1)
    is_close = np.abs(scores - least[:, None]) < 1e-9
    wanted = scores >= least[:, None]
    np.testing.assert_array_equal(found.reshape(7, count)[~is_close], wanted[~is_close])
    if count > 1:
        assert (found.reshape(7, count) & ~is_close).sum(axis=1).max() <= count / (1 + DEVIATIONS**2)


def test_the_fourth_tea_is_among_a_tea_drinkers_best_and_no_tool_is():
    model = AlsModel.fit(interactions(), Recommend(factors=8, threads=1))
    asked = pl.DataFrame({"customer_id": "t0", "product_id": ["tool07", "tea3", "unheard-of", "tool00"]})
    assert model.among_best(asked).rows() == [("t0", "tea3")]
    assert model.among_best(asked.clear()).is_empty()


def test_a_ranker_puts_a_tool_into_a_tea_drinkers_list_and_no_tea_is_made_its_reason():
    """The model of tastes alone would not name the tool, so no purchase is said to be why it stands there."""
    model, own = AlsModel.fit(interactions(), Recommend(factors=8, threads=1)), interactions()
    individual = pl.DataFrame(
        {
            "customer_id": "t0",
            "rank": pl.Series([1, 2], dtype=pl.Int32),
            "product_id": ["tool07", "tea3"],
            "source": OF_MODEL[0],
        }
    )
    products = own.select("product_id").unique().with_columns(sensitive=pl.lit(value=False))
    found = recommend._reasons(model, recommend._spoken_for(model, individual), own, products)
    assert found["product_id"].unique().to_list() == ["tea3"]
    assert set(found["because_product_id"]) == {"tea0", "tea1", "tea2"}


def test_what_the_model_all_in_all_speaks_against_has_no_reason():
    """Single contributions to some of these scores are positive, and were all that was looked at."""
    model, own = AlsModel.fit(interactions(), Recommend(factors=8, threads=1)), interactions()
    customers, products = own["customer_id"].unique().sort(), own["product_id"].unique().sort()
    everything = customers.to_frame().join(products.to_frame(), how="cross")
    _, _, tastes, vectors = model.vectors
    scores = (tastes.astype(np.float64) @ vectors.T.astype(np.float64)).ravel()
    found = model.explain(everything, own, products, 1)
    clear = everything.with_columns(score=pl.Series(scores)).filter(pl.col("score").abs() > 1e-6)
    against = clear.filter(pl.col("score") < 0)
    pair = ["customer_id", "product_id"]
    assert against.height > 100
    assert found.join(against, on=pair, how="semi").is_empty()
    assert_frame_equal(
        found.join(clear, on=pair, how="semi").select(pair),
        clear.filter(pl.col("score") > 0).select(pair),
    )
