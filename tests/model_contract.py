"""What every recommender and every model must show. A test class per model inherits and says how to make one."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.errors import ModelError
from recsys.model_settings import Recommend
from recsys.models.recommender import LIST_SCHEMA, Model, Recommender
from recsys.models.topics import Topics

NOTHING_EXCLUDED = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})


def even_odd(customers: int = 20, products: int = 10) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Even customers took all even products but one, odd ones all odd but one: pairs taken, and pairs hidden."""
    pairs = pl.DataFrame({"c": range(customers)}).join(pl.DataFrame({"p": range(products)}), how="cross")
    pairs = pairs.filter(pl.col("c") % 2 == pl.col("p") % 2)
    is_hidden = pl.col("p") // 2 == (pl.col("c") // 2) % (products // 2)
    named = pairs.select(
        is_hidden=is_hidden,
        customer_id=pl.format("c{}", pl.col("c").cast(pl.String).str.zfill(3)),
        product_id=pl.format("p{}", pl.col("p").cast(pl.String).str.zfill(3)),
        weight=pl.lit(1.0),
    )
    return named.filter(~pl.col("is_hidden")).drop("is_hidden"), named.filter("is_hidden").drop("is_hidden")


def of_topics(products: pl.Series) -> pl.DataFrame:
    """Every second product is of one topic, every third of another."""
    halves = products.gather_every(2).to_frame("product_id").with_columns(topic=pl.lit("halves"))
    return halves.vstack(products.gather_every(3).to_frame("product_id").with_columns(topic=pl.lit("thirds")))


class RecommenderContract:
    """Laws of `recommend`."""

    def made_from(self, interactions: pl.DataFrame) -> Recommender:
        """A ready recommender of the kind under test."""
        raise NotImplementedError

    @pytest.fixture
    def interactions(self) -> pl.DataFrame:
        return even_odd()[0]

    @pytest.fixture
    def customers(self, interactions: pl.DataFrame) -> pl.Series:
        return interactions.get_column("customer_id").unique().sort()

    @pytest.fixture
    def products(self, interactions: pl.DataFrame) -> pl.Series:
        return interactions.get_column("product_id").unique().sort()

    @pytest.mark.parametrize("n", [1, 3, 1000])
    def test_lists_are_typed_ordered_and_never_longer_than_asked(self, interactions, customers, products, n):
        lists = self.made_from(interactions).recommend(customers, products, NOTHING_EXCLUDED, n)
        assert lists.schema == LIST_SCHEMA
        assert lists.group_by("customer_id").len().get_column("len").max() <= n
        assert_frame_equal(
            lists,
            lists.sort("customer_id", "score", "product_id", descending=[False, True, False], maintain_order=True),
        )
        assert not lists.select("customer_id", "product_id").is_duplicated().any()

    def test_scores_are_finite_and_above_zero(self, interactions, customers, products):
        scores = self.made_from(interactions).recommend(customers, products, NOTHING_EXCLUDED, 1000)["score"]
        assert len(scores) > 0
        assert scores.is_finite().all()
        assert (scores > 0).all()

    def test_only_candidates_are_named(self, interactions, customers, products):
        candidates = products.gather_every(3)
        lists = self.made_from(interactions).recommend(customers, candidates, NOTHING_EXCLUDED, 1000)
        assert set(lists["product_id"]) == set(candidates)

    def test_excluded_pairs_are_never_named(self, interactions, customers, products):
        lists = self.made_from(interactions).recommend(customers, products, interactions, 1000)
        assert lists.height > 0
        assert lists.join(interactions, on=["customer_id", "product_id"], how="semi").is_empty()

    def test_an_exclusion_counts_for_its_own_customer_only(self, interactions, customers, products):
        recommender = self.made_from(interactions)
        free = recommender.recommend(customers, products, NOTHING_EXCLUDED, 3)
        first = free.head(1).select("customer_id", "product_id")
        barred = recommender.recommend(customers, products, first, 3)
        others = pl.col("customer_id") != first["customer_id"][0]
        assert_frame_equal(free.filter(others), barred.filter(others))
        assert first["product_id"][0] not in barred.filter(~others)["product_id"].to_list()

    def test_only_customers_asked_for_are_answered(self, interactions, customers, products):
        recommender = self.made_from(interactions)
        everyone = recommender.recommend(customers, products, NOTHING_EXCLUDED, 3)
        asked = customers.gather_every(4)
        some = recommender.recommend(asked, products, NOTHING_EXCLUDED, 3)
        assert_frame_equal(some, everyone.filter(pl.col("customer_id").is_in(asked.implode())))

    def test_order_of_what_is_given_makes_no_difference(self, interactions, customers, products):
        plain = self.made_from(interactions).recommend(customers, products, interactions, 3)
        shuffled = self.made_from(interactions.sample(fraction=1, shuffle=True, seed=1)).recommend(
            customers.shuffle(seed=2), products.shuffle(seed=3), interactions.reverse(), 3
        )
        assert_frame_equal(plain, shuffled, check_exact=True)

    def test_an_excluded_topic_is_like_excluding_each_of_its_products(self, interactions, customers, products):
        recommender, topics = self.made_from(interactions), of_topics(products)
        barred = pl.DataFrame({"customer_id": customers[:5], "topic": ["thirds", "halves", "thirds", "none", "halves"]})
        pairs = barred.join(topics, on="topic").select("customer_id", "product_id")
        by_topic = recommender.recommend(customers, products, interactions, 4, Topics(topics, barred))
        one_by_one = pl.concat([interactions.select("customer_id", "product_id"), pairs])
        by_pair = recommender.recommend(customers, products, one_by_one, 4)
        assert by_topic.height
        assert_frame_equal(by_topic, by_pair, check_exact=False, abs_tol=1e-6)

    def test_the_best_of_a_topic_are_the_best_when_there_is_nothing_else(self, interactions, customers, products):
        recommender, topics = self.made_from(interactions), of_topics(products)
        asks = pl.DataFrame({"customer_id": customers[:6], "topic": ["thirds", "halves"] * 3})
        asks = asks.vstack(
            pl.DataFrame({"customer_id": ["c000", "nobody", "c001"], "topic": ["halves", "thirds", "none"]})
        )
        barred = pl.DataFrame({"customer_id": ["c002"], "topic": ["halves"]})
        found = recommender.recommend(customers, products, NOTHING_EXCLUDED, 2, Topics(topics, barred, asks))
        parts = []
        for (topic,), asked in asks.group_by("topic", maintain_order=True):
            of_topic = topics.filter(pl.col("topic") == topic)["product_id"]
            theirs = customers.filter(customers.is_in(asked["customer_id"].implode()))
            parts.append(recommender.recommend(theirs, of_topic, NOTHING_EXCLUDED, 2, Topics(topics, barred)))
        wanted = pl.concat(parts).unique(["customer_id", "product_id"])
        wanted = wanted.sort("customer_id", "score", "product_id", descending=[False, True, False])
        assert found.height
        assert_frame_equal(found, wanted, check_exact=False, abs_tol=1e-6)

    @pytest.mark.parametrize("nobody", [True, False])
    def test_nobody_asked_or_nothing_allowed_gives_an_empty_list(self, interactions, customers, products, nobody):
        recommender = self.made_from(interactions)
        asked, allowed = (customers.clear(), products) if nobody else (customers, products.clear())
        lists = recommender.recommend(asked, allowed, NOTHING_EXCLUDED, 3)
        assert lists.schema == LIST_SCHEMA
        assert lists.is_empty()


class ModelContract(RecommenderContract):
    """Laws of learning and keeping."""

    model: type[Model]
    settings = Recommend(factors=8, iterations=15, threads=1)

    def fit(self, interactions: pl.DataFrame, **changes: object) -> Model:
        return self.model.fit(interactions, self.settings.model_copy(update=changes))

    def made_from(self, interactions: pl.DataFrame) -> Recommender:
        return self.fit(interactions)

    def test_even_customers_get_back_the_even_product_that_was_hidden(self, customers, products):
        taken, hidden = even_odd()
        lists = self.fit(taken, factors=2).recommend(customers, products, taken, 1)
        assert_frame_equal(
            lists.select("customer_id", "product_id"), hidden.select("customer_id", "product_id").sort("customer_id")
        )

    def test_heavier_interactions_count_more(self):
        """Zoe took a tea heavily and a tool lightly, so the other tea comes before the other tool."""
        fans = [(f"{kind}{i}", f"{kind}-{item}", 1.0) for kind in ("tea", "tool") for i in range(5) for item in "ab"]
        rows = [*fans, ("zoe", "tea-a", 5.0), ("zoe", "tool-a", 0.1)]
        interactions = pl.DataFrame(rows, schema=["customer_id", "product_id", "weight"], orient="row")
        lists = self.fit(interactions).recommend(
            pl.Series(["zoe"]), pl.Series(["tea-b", "tool-b"]), NOTHING_EXCLUDED, 2
        )
        assert lists["product_id"][0] == "tea-b"

    def test_a_customer_without_history_gets_no_row(self, interactions, products):
        lists = self.fit(interactions).recommend(pl.Series(["nobody", "c000"]), products, NOTHING_EXCLUDED, 3)
        assert set(lists["customer_id"]) == {"c000"}

    def test_no_interactions_give_a_model_that_recommends_nothing(self, interactions, customers, products, tmp_path):
        model = self.fit(interactions.clear())
        model.save(tmp_path)
        for one in (model, self.model.load(tmp_path)):
            assert one.recommend(customers, products, NOTHING_EXCLUDED, 3).is_empty()

    def test_files_do_not_depend_on_threads_or_row_order(self, interactions, tmp_path):
        random = _random_interactions()
        self.fit(random, threads=1).save(tmp_path / "one")
        self.fit(random.sample(fraction=1, shuffle=True, seed=5), threads=2).save(tmp_path / "two")
        assert _bytes_of(tmp_path / "one") == _bytes_of(tmp_path / "two")

    def test_lists_do_not_depend_on_threads(self):
        random = _random_interactions()
        customers, products = random["customer_id"].unique(), random["product_id"].unique()
        one, two = (self.fit(random, threads=threads).recommend(customers, products, random, 5) for threads in (1, 2))
        assert_frame_equal(one, two, check_exact=True)

    def test_a_loaded_model_is_the_saved_one(self, interactions, customers, products, tmp_path):
        model = self.fit(interactions)
        model.save(tmp_path / "model")
        loaded = self.model.load(tmp_path / "model")
        assert loaded.version == model.version
        asked = (customers, products, interactions, 4)
        assert_frame_equal(loaded.recommend(*asked), model.recommend(*asked), check_exact=True)
        loaded.save(tmp_path / "again")
        assert _bytes_of(tmp_path / "model") == _bytes_of(tmp_path / "again")

    def test_a_damaged_or_incomplete_model_is_refused(self, interactions, tmp_path):
        for number, name in enumerate(sorted(self._saved(interactions, tmp_path / "whole"))):
            folder = tmp_path / str(number)
            self.fit(interactions).save(folder)
            if name != "card.json":
                content = bytearray((folder / name).read_bytes())
                content[len(content) // 2] ^= 1
                (folder / name).write_bytes(content)
                with pytest.raises(ModelError, match=re.escape(name)):
                    self.model.load(folder)
            (folder / name).unlink()
            with pytest.raises(ModelError, match=re.escape(name)):
                self.model.load(folder)

    def test_the_version_names_settings_and_data_but_not_threads_or_k(self, interactions):
        version = self.fit(interactions).version
        assert re.fullmatch(r"[a-z]+-[0-9a-f]{12}", version)
        assert self.fit(interactions.reverse(), threads=2, k=7).version == version
        others = {
            self.fit(interactions, seed=7).version,
            self.fit(interactions, alpha=2.0).version,
            self.fit(interactions.head(-1)).version,
            self.fit(interactions.with_columns(weight=pl.col("weight") * 2)).version,
            self.fit(interactions.with_columns(product_id=pl.col("product_id") + "x")).version,
        }
        assert len(others | {version}) == 6

    @pytest.mark.parametrize("weight", [float("nan"), float("inf"), None, 0.0, -1.0])
    def test_weights_that_cannot_be_learnt_from_are_refused(self, interactions, weight):
        broken = pl.concat([interactions, interactions.head(1).with_columns(weight=pl.lit(weight, pl.Float64))])
        with pytest.raises(ModelError, match=f"interactions.weight.* in 1 of {broken.height} rows"):
            self.fit(broken)

    def test_a_pair_named_twice_is_refused(self, interactions):
        with pytest.raises(ModelError, match="1 of 81 rows repeat"):
            self.fit(pl.concat([interactions, interactions.head(1)]))

    def test_empty_ids_are_refused(self, interactions):
        with pytest.raises(ModelError, match="empty in 80 of 80 rows"):
            self.fit(interactions.with_columns(product_id=pl.lit(None, pl.String)))

    def _saved(self, interactions: pl.DataFrame, folder: Path) -> list[str]:
        self.fit(interactions).save(folder)
        return [path.name for path in folder.iterdir()]


def _random_interactions(customers: int = 300, products: int = 80, rows: int = 3000) -> pl.DataFrame:
    random = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "customer_id": [f"c{i}" for i in random.integers(0, customers, rows)],
            "product_id": [f"p{i}" for i in random.integers(0, products, rows)],
            "weight": random.uniform(0.1, 3.0, rows),
        }
    ).unique(["customer_id", "product_id"], keep="first", maintain_order=True)


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
