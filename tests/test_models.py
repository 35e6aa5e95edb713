"""Every model against the contract, and what only one of them does."""

import json
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from model_contract import NOTHING_EXCLUDED, ModelContract, RecommenderContract, even_odd
from polars.testing import assert_frame_equal

from recsys.errors import ModelError
from recsys.model_settings import Recommend
from recsys.models import als
from recsys.models.als import AlsModel
from recsys.models.popular import PopularList


class TestAls(ModelContract):
    model = AlsModel

    def test_the_card_says_what_was_learnt_from_what(self, interactions, tmp_path):
        self.fit(interactions).save(tmp_path)
        card = json.loads((tmp_path / "card.json").read_text())
        assert card["counts"] == {"interactions": 80, "customers": 20, "products": 10}
        assert card["settings"] == {"alpha": 10.0, "factors": 8, "iterations": 15, "regularization": 0.01, "seed": 42}
        assert card["model_version"].startswith("als-")
        assert set(card["files"]) == {"factors.npz", "customers.parquet", "products.parquet"}

    def test_the_factors_file_holds_no_moment(self, interactions, tmp_path):
        self.fit(interactions).save(tmp_path)
        with zipfile.ZipFile(tmp_path / "factors.npz") as file:
            assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    def test_model_files_are_private(self, interactions, tmp_path):
        self.fit(interactions).save(tmp_path / "model")
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o600}

    def test_training_without_finite_numbers_is_an_error_that_names_the_settings(self, interactions):
        with pytest.raises(ModelError, match=r"recommend\.alpha 1e\+38"):
            self.fit(interactions, alpha=1e38)

    def test_lists_are_the_same_whatever_the_batch(self, monkeypatch, interactions, customers, products):
        asked = (customers, products, interactions, 3)
        whole = self.fit(interactions).recommend(*asked)
        monkeypatch.setattr(als, "BATCH", 3)
        assert_frame_equal(whole, self.fit(interactions).recommend(*asked), check_exact=False, abs_tol=1e-6)


def test_a_customer_newer_than_the_model_is_folded_in_and_nobody_else_changes():
    """c002 came after the training; a stranger did exactly what c004, who was there, had done."""
    taken, hidden = even_odd()
    older = taken.filter(pl.col("customer_id") != "c002")
    model = AlsModel.fit(older, Recommend(factors=8, threads=1))
    twin = taken.filter(pl.col("customer_id") == "c004").with_columns(customer_id=pl.lit("a stranger"))
    unheard = pl.DataFrame({"customer_id": ["z"], "product_id": ["unheard-of"], "weight": [1.0]})
    folded = model.with_customers(pl.concat([taken, twin, unheard]))
    people, products, before, _ = folded.vectors
    assert people.to_list() == ["a stranger", *taken["customer_id"].unique().sort()]
    vector = dict(zip(people, before, strict=True))
    assert np.array_equal(vector["a stranger"], vector["c004"])
    assert all(np.array_equal(vector[name], old) for name, old in zip(*model.vectors[0:3:2], strict=True))
    (first,) = folded.recommend(pl.Series(["c002"]), products, taken, 1)["product_id"]
    assert first == hidden.filter(customer_id="c002")["product_id"].item()
    assert model.recommend(pl.Series(["c002"]), products, taken, 1).is_empty()
    assert folded.version != model.version == model.with_customers(older).version
    reasons = folded.explain(
        pl.DataFrame({"customer_id": ["c002"], "product_id": [first]}),
        taken.with_columns(is_bought=pl.lit(value=True)),
        products,
        10,
    )
    assert reasons["share"].sum() == pytest.approx(1)
    assert set(reasons["because_product_id"]) <= set(taken.filter(customer_id="c002")["product_id"])


def _model_with(customer_factors: list[list[float]], product_factors: list[list[float]]) -> AlsModel:
    """A model with given factors: customers c0, c1 ... and products p00, p01 ..."""
    interactions = even_odd()[0].head(1)
    library = AlsModel.fit(interactions, Recommend(factors=len(product_factors[0]), threads=1))._library
    library.user_factors = np.array(customer_factors, dtype=np.float32)
    library.item_factors = np.array(product_factors, dtype=np.float32)
    customers = pl.Series([f"c{i}" for i in range(len(customer_factors))])
    products = pl.Series([f"p{i:02}" for i in range(len(product_factors))])
    return AlsModel(library, customers, products, {"model_version": "als-made-by-hand"})


def test_filler_of_the_library_never_comes_through():
    """With all but one product excluded, `implicit` fills the list with excluded ones at score -3.4e38."""
    model = _model_with([[1.0]], [[0.5], [0.4], [0.3], [0.2]])
    excluded = pl.DataFrame({"customer_id": ["c0"] * 3, "product_id": ["p00", "p01", "p03"]})
    lists = model.recommend(pl.Series(["c0"]), pl.Series(["p00", "p01", "p02", "p03"]), excluded, 3)
    assert lists["product_id"].to_list() == ["p02"]


def test_products_at_or_below_zero_are_left_out():
    model = _model_with([[1.0]], [[0.5], [0.0], [-0.3]])
    lists = model.recommend(pl.Series(["c0"]), pl.Series(["p00", "p01", "p02"]), NOTHING_EXCLUDED, 3)
    assert lists["product_id"].to_list() == ["p00"]


@settings(deadline=None)
@given(
    levels=st.lists(st.integers(-1, 3), min_size=1, max_size=40),
    n=st.integers(1, 12),
    barred=st.sets(st.integers(0, 39), max_size=10),
)
@example(levels=[1, 1, 1, 2], n=2, barred=set())
@example(levels=[2, *[1] * 30, 2, 2], n=4, barred={0, 1})
@example(levels=[1, 2], n=12, barred=set())
def test_ties_go_to_the_smaller_product_however_many_there_are(levels, n, barred):
    model = _model_with([[1.0], [2.0]], [[float(level)] for level in levels])
    names = [f"p{i:02}" for i in range(len(levels))]
    excluded = pl.DataFrame({"customer_id": ["c1"] * len(barred), "product_id": [f"p{i:02}" for i in sorted(barred)]})
    lists = model.recommend(pl.Series(["c0", "c1"]), pl.Series(names), excluded.cast(pl.String), n)
    for customer, skipped in (("c0", set()), ("c1", barred)):
        wanted = sorted((-level, names[i]) for i, level in enumerate(levels) if level > 0 and i not in skipped)[:n]
        found = lists.filter(pl.col("customer_id") == customer)
        assert found["product_id"].to_list() == [name for _, name in wanted]


class TestPopularList(RecommenderContract):
    def made_from(self, interactions: pl.DataFrame) -> PopularList:
        bought = interactions.group_by("product_id").len().sort(["len", "product_id"], descending=[True, False])
        return PopularList(bought.select("product_id", rank=pl.int_range(1, pl.len() + 1)))

    def test_anybody_gets_the_most_bought_first_and_each_without_what_is_barred(self):
        popular = PopularList(pl.DataFrame({"product_id": ["b", "a", "c", "d"], "rank": [1, 2, 3, 4]}))
        excluded = pl.DataFrame({"customer_id": ["ben", "ben", "else"], "product_id": ["b", "c", "a"]})
        lists = popular.recommend(pl.Series(["ben", "ann"]), pl.Series(["a", "b", "c", "d"]), excluded, 2)
        assert lists.rows() == [("ann", "b", 1.0), ("ann", "a", 0.5), ("ben", "a", 0.5), ("ben", "d", 0.25)]

    def test_who_has_everything_gets_nothing(self):
        popular = PopularList(pl.DataFrame({"product_id": ["a", "b"], "rank": [1, 2]}))
        excluded = pl.DataFrame({"customer_id": ["ben", "ben"], "product_id": ["a", "b"]})
        lists = popular.recommend(pl.Series(["ann", "ben"]), pl.Series(["a", "b"]), excluded, 5)
        assert lists.rows() == [("ann", "a", 1.0), ("ann", "b", 0.5)]
