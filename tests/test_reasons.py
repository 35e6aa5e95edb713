"""Reasons: what each score comes from, and that it is all of it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from polars.testing import assert_frame_equal
from scipy.sparse import csr_matrix
from thorough import tries

from recsys.model_settings import Recommend
from recsys.models import contributions as parts
from recsys.models.als import AlsModel
from recsys.models.contributions import Batch, Histories, Whitened, contributions, customer_vectors, strongest
from recsys.models.reasons import REASON_SCHEMA

TASTES = Recommend(factors=4, iterations=15, threads=1)
NOTHING = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})


def bought(**baskets: str) -> pl.DataFrame:
    """Interactions from products per customer, as in ann="tea cup"; `~cup` was looked at and not bought."""
    rows = [
        (customer, name.removeprefix("~"), 0.3 if name.startswith("~") else 1.0, not name.startswith("~"))
        for customer, names in baskets.items()
        for name in names.split()
    ]
    return pl.DataFrame(
        rows,
        schema={
            "customer_id": pl.String,
            "product_id": pl.String,
            "weight": pl.Float64,
            "is_bought": pl.Boolean,
        },
        orient="row",
    )


SHOP = bought(
    **{f"tea{i}": "tea cup" + (" pot" if i % 2 else "") for i in range(8)},
    **{f"tool{i}": "saw drill" + (" wrench" if i % 2 else "") for i in range(8)},
    ann="tea saw ~pot",
)
"""Two kinds of people; Ann is a bit of both."""
ANN = pl.DataFrame({"customer_id": "ann", "product_id": ["cup", "drill", "pot"]})


def explained(interactions: pl.DataFrame = SHOP, rows: pl.DataFrame = ANN, without: str = "", top: int = 3):
    model = AlsModel.fit(interactions, TASTES)
    nameable = interactions["product_id"].unique().sort()
    return model.explain(rows, interactions, nameable.filter(~nameable.is_in(without.split())), top)


def test_the_tea_is_why_she_gets_the_cup_and_the_saw_is_why_she_gets_the_drill():
    first = explained(rows=ANN.filter(pl.col("product_id") != "pot"), top=1)
    assert first.schema == REASON_SCHEMA
    assert dict(first.select("product_id", "because_product_id").rows()) == {"cup": "tea", "drill": "saw"}
    assert first["share"].min() > 0.8


def test_what_comes_from_a_look_at_it_more_than_from_any_purchase_has_no_reason():
    """Of the pot two thirds come from her own look at it, which is no reason to name; the tea would be a pretext."""
    assert explained().filter(product_id="pot").is_empty()


@pytest.mark.parametrize(("look", "named"), [(0.0, [1, 2]), (0.4, [1, 2]), (0.5, []), (-0.5, [1, 2]), (-0.7, [])])
def test_a_look_that_weighs_less_than_the_strongest_purchase_takes_nothing_from_it(look, named):
    """Beside purchases that contribute 0.4 and 0.2; a look that speaks against more than they speak for leaves none."""
    batch = Batch(np.array([[0]]), np.array([[0, 1, 2]]), np.array([[0, 1, 2]]), np.array([[[look, 0.4, 0.2]]]))
    is_look = np.array([[[True, False, False]]])
    _, _, because, share = strongest(batch, ~is_look, 3, is_look)
    assert because.tolist() == named
    np.testing.assert_allclose(share, np.array([0.4, 0.2][: len(named)]) / (max(look, 0) + 0.6))


def test_a_product_that_was_bought_is_a_reason_for_itself():
    asked = pl.DataFrame({"customer_id": "ann", "product_id": ["tea"]})
    assert explained(rows=asked)["because_product_id"][0] == "tea"


def test_a_product_that_may_not_be_named_is_left_out_and_its_share_is_nobodys():
    everything = explained(top=9).filter(product_id="cup")
    without = explained(top=9, without="tea").filter(product_id="cup")
    assert everything["because_product_id"][0] == "tea"
    assert_frame_equal(
        without.drop("place"), everything.filter(pl.col("because_product_id") != "tea").drop("place"), check_exact=True
    )
    assert without["place"].to_list() == list(range(1, without.height + 1))


@pytest.mark.parametrize(
    "rows", [NOTHING, pl.DataFrame({"customer_id": ["zoe", "ann"], "product_id": ["tea", "unheard-of"]})]
)
def test_rows_that_the_model_knows_nothing_of_have_no_reason(rows):
    assert_frame_equal(explained(rows=rows), REASON_SCHEMA.to_frame())


def test_no_interactions_give_no_reasons():
    assert_frame_equal(explained(SHOP.clear()), REASON_SCHEMA.to_frame())


def test_order_of_rows_and_who_else_is_asked_about_make_no_difference():
    everybody = SHOP.select("customer_id").unique().join(ANN.select("product_id"), how="cross")
    found = explained(rows=everybody)
    shuffled = explained(SHOP.sample(fraction=1, shuffle=True, seed=1), everybody.reverse())
    assert_frame_equal(found, shuffled, check_exact=True)
    assert_frame_equal(found.filter(customer_id="ann"), explained(), check_exact=True)


def test_they_are_the_contributions_that_the_library_finds_one_by_one():
    """`implicit` explains one row at a time, by Cholesky's decomposition."""
    model = AlsModel.fit(SHOP, TASTES)
    customers, products = (SHOP[name].unique().sort() for name in ("customer_id", "product_id"))
    rows = customers.search_sorted(SHOP["customer_id"]).to_numpy()
    columns = products.search_sorted(SHOP["product_id"]).to_numpy()
    matrix = csr_matrix((SHOP["weight"].to_numpy().astype(np.float32), (rows, columns)))
    ann = int(customers.search_sorted("ann"))
    for product in ANN["product_id"]:
        _, found, _ = model._library.explain(ann, matrix, int(products.search_sorted(product)))
        positive = {products[int(j)]: value for j, value in found if value > 0}
        shares = {name: value / sum(positive.values()) for name, value in positive.items()}
        if product == "pot":
            assert shares.pop("pot") > max(shares.values())
            shares = {}
        ours = explained(top=9).filter(product_id=product)
        assert dict(ours.select("because_product_id", "share").rows()) == pytest.approx(shares, abs=1e-4)


@settings(max_examples=tries(60), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    factors=st.integers(1, 8),
    regularization=st.sampled_from([0.001, 0.01, 1.0]),
    alpha=st.sampled_from([0.2, 1.0, 40.0]),
)
def test_contributions_add_up_to_the_score_of_the_exact_solution(seed, factors, regularization, alpha):
    """By the normal equations as the paper writes them, for histories shorter and longer than there are factors."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(12, factors)).astype(np.float32)
    lengths = random.integers(0, 13, 9)
    columns = np.concatenate([np.sort(random.permutation(12)[:length]) for length in lengths]).astype(np.int32)
    weights = random.choice([0.001, 0.3, 1.0, 2.5], len(columns)) * alpha
    histories = Histories(np.concatenate([[0], np.cumsum(lengths)]), columns, weights)
    space = Whitened.of(vectors, regularization)
    asked = random.permutation(9 * 12)[:40]
    customers, products = asked // 12, asked % 12
    y = vectors.astype(np.float64)
    exact = np.zeros((9, factors))
    for customer, (start, end) in enumerate(zip(histories.row_starts, histories.row_starts[1:], strict=False)):
        mine, c = y[columns[start:end]], weights[start:end]
        a = y.T @ y + regularization * np.eye(factors) + mine.T @ np.diag(c - 1) @ mine
        exact[customer] = np.linalg.solve(a, mine.T @ c)
    seen = set()
    for batch in contributions(space, histories, customers, products):
        wanted = (exact[customers[batch.pairs]] * y[products[batch.pairs]]).sum(axis=2)
        np.testing.assert_allclose(batch.contributions.sum(axis=2), wanted, atol=1e-6, rtol=1e-6)
        seen |= set(batch.pairs.ravel().tolist())
    assert seen == set(np.flatnonzero(lengths[customers] > 0).tolist())
    np.testing.assert_allclose(customer_vectors(space, histories), exact, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("batch", [1, 2_000_000])
def test_they_add_up_to_the_score_that_the_model_ships(batch, monkeypatch):
    monkeypatch.setattr(parts, "BATCH_NUMBERS", batch)
    model = AlsModel.fit(SHOP, TASTES)
    customers, products = (SHOP[name].unique().sort() for name in ("customer_id", "product_id"))
    lists = model.recommend(customers, products, NOTHING, 9)
    explained = model.explain(lists, SHOP, products, 99)
    vectors, own = model._library.item_factors.astype(np.float64), model._library.user_factors.astype(np.float64)
    scores = own[customers.search_sorted(lists["customer_id"])] * vectors[products.search_sorted(lists["product_id"])]
    np.testing.assert_allclose(lists["score"], scores.sum(axis=1), atol=1e-6)
    shares = explained.group_by("customer_id", "product_id").agg(pl.col("share").sum())
    whole = shares.join(SHOP, on=["customer_id", "product_id"], how="semi").filter(pl.col("customer_id") != "ann")
    np.testing.assert_allclose(whole["share"], 1.0, atol=1e-9)


def test_the_rounds_alone_leave_scores_behind_that_no_reasons_add_up_to():
    """Why customers' vectors are solved for once more: what the library's rounds leave is another score."""
    customers, products = (SHOP[name].unique().sort() for name in ("customer_id", "product_id"))
    rows, columns = customers.search_sorted(SHOP["customer_id"]), products.search_sorted(SHOP["product_id"])
    matrix = csr_matrix((SHOP["weight"].to_numpy().astype(np.float32), (rows.to_numpy(), columns.to_numpy())))
    library = AlternatingLeastSquares(
        factors=4,
        regularization=0.01,
        alpha=TASTES.alpha,
        iterations=15,
        num_threads=1,
        random_state=42,
        dtype=np.float32,
    )
    library.fit(matrix, show_progress=False)
    model = AlsModel.fit(SHOP, TASTES)
    np.testing.assert_array_equal(library.item_factors, model._library.item_factors)
    assert np.abs(library.user_factors - model._library.user_factors).max() > 1e-3


@settings(max_examples=tries(30), deadline=None)
@given(
    pairs=st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("stuvwxyz")),
        st.tuples(st.sampled_from([0.05, 1.0, 3.0]), st.booleans()),
        min_size=1,
    ),
    hidden=st.sets(st.sampled_from("stuvwxyz")),
    top=st.integers(1, 4),
)
def test_laws_of_reasons(pairs, hidden, top):
    rows = [(*pair, *value) for pair, value in pairs.items()]
    interactions = pl.DataFrame(rows, schema=SHOP.schema, orient="row")
    everything = (
        interactions.select("customer_id").unique().join(interactions.select("product_id").unique(), how="cross")
    )
    found = explained(interactions, everything, " ".join(hidden), top)
    pair = ["customer_id", "product_id"]
    assert not set(found["because_product_id"]) & hidden
    assert found.select((pl.col("share") > 0).all() & (pl.col("share") <= 1 + 1e-12).all()).item()
    assert found.equals(found.sort(*pair, "place"))
    expected = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(pair)
    assert found.select((pl.col("place") == expected).all()).item()
    assert found.filter(pl.col("share").diff().over(pair) > 0).is_empty()
    assert found.filter(pl.col("place") > top).is_empty()
    own = found.join(
        interactions, left_on=["customer_id", "because_product_id"], right_on=pair, how="left", maintain_order="left"
    )
    assert own["is_bought"].null_count() == 0
    assert own.filter((pl.col("product_id") == pl.col("because_product_id")) & ~pl.col("is_bought")).is_empty()
    assert found.group_by(pair).agg(pl.col("share").sum()).filter(pl.col("share") > 1 + 1e-9).is_empty()
