"""Candidates, features and the ranker on the toy shop, and the laws of its lists."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.sparse import csr_matrix
from thorough import tries
from twostage_shop import DRINKERS, END, SETTINGS, TEAS, TOOLS, USERS, events, history, lesson, products, ranker

from recsys.errors import ModelError
from recsys.models.recommender import LIST_SCHEMA
from recsys.twostage import candidates, lessons
from recsys.twostage import ranker as module
from recsys.twostage.candidates import Counts, Sources
from recsys.twostage.features import NAMES, Features
from recsys.twostage.history import History
from recsys.twostage.lessons import Lesson, examples
from recsys.twostage.lists import rank
from recsys.twostage.neighbours import alike, dense_highest, highest, together
from recsys.twostage.pool import Pool
from recsys.twostage.purchases import Purchases
from recsys.twostage.ranker import Ranker

NOTHING = pl.DataFrame(schema={"customer_id": pl.String, "product_id": pl.String})
EVERYBODY = history().events["customer_id"].unique().sort()
DRINKER, USER = "c03", f"c{DRINKERS + 3:02}"


@pytest.fixture(scope="module")
def taught() -> Ranker:
    return ranker()


def _neighbours(matrix: csr_matrix, product: str) -> set[str]:
    ids = history().products["product_id"]
    return set(ids.gather(matrix[ids.to_list().index(product)].indices))


def test_what_is_ordered_together_or_named_alike_are_neighbours():
    shop = history()
    assert _neighbours(together(Purchases(shop)), "assam") == {"green"}
    everything = np.ones(shop.products.height, dtype=bool)
    assert _neighbours(alike(shop, everything), "axe") == set(TOOLS) - {"axe"}
    only_saws = (shop.products["product_id"] == "hammer").to_numpy()
    assert _neighbours(alike(shop, only_saws), "axe") == {"hammer"}


def test_candidates_are_sorted_distinct_allowed_and_as_few_as_asked():
    shop = history()
    ineligible = shop.products.with_columns(is_eligible=pl.col("product_id") != "green")
    sources = Sources(History(END, events(), ineligible), SETTINGS.tastes, Counts(2, 1, 1, 1, 1))
    asked = np.arange(len(sources.purchases.customers), dtype=np.int32)
    barred = sources.purchases.marked(pl.DataFrame({"customer_id": [DRINKER] * 2, "product_id": ["assam", "axe"]}))
    (pairs,) = sources.each(asked, barred, lambda found: found)
    keys = pairs.customer.astype(np.int64) * len(sources.purchases.products) + pairs.product
    assert (np.diff(keys) > 0).all()
    assert np.unique(pairs.customer, return_counts=True)[1].max() <= 6
    named = sources.purchases.products.gather(pairs.product)
    assert "green" not in named
    assert not {"assam", "axe"} & set(named.filter(sources.purchases.customers.gather(pairs.customer) == DRINKER))


def test_features_of_a_pair_are_those_one_can_count():
    sources = Sources(history(), SETTINGS.tastes, SETTINGS.counts)
    customer = sources.purchases.customers.to_list().index(DRINKER)
    nothing = csr_matrix(sources.purchases.shape, dtype=np.float32)
    (pairs,) = sources.each(np.array([customer], dtype=np.int32), nothing, lambda found: found)
    matrix = Features(sources).of(pairs)
    place = sources.purchases.products.gather(pairs.product).to_list().index("green")
    row = dict(zip(NAMES, matrix[place].tolist(), strict=True))
    assert matrix.dtype == np.float32
    assert row["pair_orders"] == row["customer_orders"] == 18
    assert row["pair_order_share"] == 1
    assert row["pair_days_since_last"] == 6.5
    assert row["pair_due"] == pytest.approx(0.65)
    assert row["pair_in_last_six"] == 6
    assert row["pair_orders_since"] == 0
    assert row["pair_gap_days"] == 10
    assert row["customer_basket"] == 2
    assert row["product_buyers_28"] == DRINKERS
    assert row["product_first_buyers_28"] == 0
    assert row["product_acceleration"] == pytest.approx((4 * row["product_buyers_7"] + 2) / (DRINKERS + 2))
    assert 0 < row["product_buyers_7"] < row["product_buyers_14"] <= DRINKERS
    assert row["product_price_change"] == pytest.approx(1)
    assert row["product_log_basket"] == pytest.approx(np.log(2))
    assert row["pair_basket_ratio"] == pytest.approx(0, abs=1e-6)
    assert row["pair_quantity_ratio"] == pytest.approx(0, abs=1e-6)


def test_a_tea_drinker_gets_teas_and_a_tool_user_tools(taught):
    lists = rank(history(), taught, EVERYBODY, NOTHING, 5)
    drinkers = [f"c{person:02}" for person in range(DRINKERS)]
    is_drinker = pl.col("customer_id").is_in(drinkers)
    assert set(lists.filter(is_drinker)["product_id"]) <= {"green", *TEAS}
    assert set(lists.filter(~is_drinker)["product_id"]) <= set(TOOLS)
    assert lists.filter(is_drinker, product_id="green").height == DRINKERS


def test_without_what_they_have_a_list_is_all_individual(taught):
    past = history(END - timedelta(days=150))
    have = past.events.select("customer_id", "product_id").unique()
    lists = rank(past, taught, EVERYBODY, have, 3)
    assert lists.height
    assert lists.join(have, on=["customer_id", "product_id"], how="semi").is_empty()


def test_a_line_of_the_future_changes_no_list(taught):
    past = END - timedelta(days=60)
    whole = rank(history().before(past), taught, EVERYBODY, NOTHING, 4)
    assert_frame_equal(whole, rank(history(past), taught, EVERYBODY, NOTHING, 4), check_exact=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_rows_in_any_order_give_the_same_bytes(threads, taught, tmp_path):
    shuffled = [
        Lesson(
            History(
                one.history.end,
                one.history.events.sample(fraction=1, shuffle=True, seed=days),
                one.history.products.reverse(),
            ),
            one.bought.reverse(),
        )
        for days in (20, 40)
        for one in [lesson(days)]
    ]
    tastes = SETTINGS.tastes.model_copy(update={"threads": threads})
    other = Ranker.fit(shuffled, replace(SETTINGS, tastes=tastes))
    taught.save(tmp_path / "one")
    other.save(tmp_path / "two")
    for name in ("lambdarank.txt", "binary.txt", "card.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    mixed = History(END, events().sample(fraction=1, shuffle=True, seed=9), products().reverse())
    assert_frame_equal(
        rank(history(), taught, EVERYBODY, NOTHING, 4),
        rank(mixed, other, EVERYBODY.reverse(), NOTHING, 4),
        check_exact=True,
    )


@settings(max_examples=tries(12), deadline=None)
@given(
    n=st.integers(0, 30),
    asked=st.lists(st.sampled_from([*EVERYBODY, "nobody"]), max_size=6),
    barred=st.lists(st.tuples(st.sampled_from([*EVERYBODY, "nobody"]), st.sampled_from([*TEAS, *TOOLS, "none"]))),
)
def test_laws_of_every_list(taught, n, asked, barred):
    excluded = pl.DataFrame(barred, schema=NOTHING.schema, orient="row")
    lists = rank(history(), taught, pl.Series(asked, dtype=pl.String), excluded, n)
    assert lists.schema == LIST_SCHEMA
    assert (lists.group_by("customer_id").len()["len"] <= n).all()
    assert set(lists["customer_id"]) == (set(asked) - {"nobody"} if n else set())
    assert not lists.select("customer_id", "product_id").is_duplicated().any()
    assert lists.join(excluded, on=["customer_id", "product_id"], how="semi").is_empty()
    assert (lists["score"] > 0).all()
    in_order = lists.sort("customer_id", "score", "product_id", descending=[False, True, False])
    assert_frame_equal(lists, in_order, check_exact=True)


def test_lists_are_the_same_whatever_the_batch(monkeypatch, taught):
    whole = rank(history(), taught, EVERYBODY, NOTHING, 3)
    monkeypatch.setattr(candidates, "BATCH", 5)
    assert_frame_equal(whole, rank(history(), taught, EVERYBODY, NOTHING, 3), abs_tol=1e-6)


def test_the_finalists_are_chosen_by_the_first_trees_and_ordered_by_all(monkeypatch):
    many = ranker(replace(SETTINGS, trees=60))
    sources = Sources(history(), SETTINGS.tastes, SETTINGS.counts)
    asked = np.arange(len(EVERYBODY), dtype=np.int32)
    (pairs,) = sources.each(asked, csr_matrix(sources.purchases.shape, dtype=np.float32), lambda found: found)
    matrix = Features(sources).of(pairs)
    monkeypatch.setattr(module, "FINALISTS", 6)
    places, scores = many.best(pairs.customer, pairs.product, matrix, 4)
    assert_frame_equal(pl.DataFrame({"score": scores}), pl.DataFrame({"score": many.score(matrix[places])}))
    whole, of_whole = many.best(pairs.customer, pairs.product, matrix, 1000)
    assert len(whole) == len(matrix)
    assert (np.lexsort((pairs.product[whole], -of_whole, pairs.customer[whole])) == np.arange(len(whole))).all()
    firsts = whole[np.unique(pairs.customer[whole], return_index=True)[1]]
    assert np.isin(firsts, places).all()


def test_both_kinds_of_trees_weigh_alike_and_trees_that_tell_nothing_apart_nothing(taught):
    tastes, counts = SETTINGS.tastes, SETTINGS.counts
    past = lesson(20)
    matrix = examples(Pool(past.history, tastes, counts), past.bought, SETTINGS).features
    flat = np.zeros_like(matrix)
    order, chance = taught._trees
    deviation, of_chance = order.margins(matrix).std(), chance.margins(matrix).std()
    assert module._weights([order, chance], matrix) == pytest.approx([0.5, 0.5 * deviation / of_chance])
    assert module._weights([order, chance], flat) == [0.0, 0.0]
    weights = taught._card["weights"]
    expected = np.exp(weights[0] * order.margins(matrix) + weights[1] * chance.margins(matrix))
    assert taught.score(matrix) == pytest.approx(expected)


def test_a_loaded_ranker_is_the_saved_one(taught, tmp_path):
    taught.save(tmp_path)
    loaded = Ranker.load(tmp_path, threads=1)
    assert (loaded.version, loaded.settings) == (taught.version, taught.settings)
    lists = [rank(history(), one, EVERYBODY, NOTHING, 3) for one in (taught, loaded)]
    assert_frame_equal(*lists, check_exact=True)
    loaded.save(tmp_path / "again")
    for name in ("lambdarank.txt", "binary.txt", "card.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("name", ["lambdarank.txt", "binary.txt", "card.json"])
def test_an_incomplete_or_changed_ranker_is_refused(taught, tmp_path, name):
    taught.save(tmp_path)
    if name != "card.json":
        (tmp_path / name).write_text((tmp_path / name).read_text().replace("leaf_value=", "leaf_value=1", 1))
        with pytest.raises(ModelError, match="not the bytes"):
            Ranker.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match="not complete"):
        Ranker.load(tmp_path)


def test_a_ranker_of_other_features_is_refused(taught, tmp_path):
    taught.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["features"].reverse()
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="other features"):
        Ranker.load(tmp_path)


def test_of_too_many_buyers_a_seeded_draw_teaches(monkeypatch):
    shop, past = lesson(20), Pool(lesson(20).history, SETTINGS.tastes, SETTINGS.counts)
    everybody = examples(past, shop.bought, SETTINGS)
    monkeypatch.setattr(lessons, "MOST_LISTS", 5)
    some = [examples(past, shop.bought, replace(SETTINGS, seed=seed)) for seed in (1, 1, 2)]
    assert len(everybody.sizes) == DRINKERS + USERS
    assert [len(part.sizes) for part in some] == [5, 5, 5]
    assert some[0].features.tobytes() == some[1].features.tobytes() != some[2].features.tobytes()
    whole = {row.tobytes() for row in everybody.features}
    assert all(row.tobytes() in whole for row in some[2].features)


def test_taught_by_examples_is_taught_by_their_lessons(taught):
    lessons = [lesson(20), lesson(40)]
    parts = [examples(Pool(one.history, SETTINGS.tastes, SETTINGS.counts), one.bought, SETTINGS) for one in lessons]
    assert Ranker.taught(parts, SETTINGS).version == taught.version


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_highest_of_a_dense_matrix_are_those_of_its_numbers_above_zero(count):
    values = np.random.default_rng(count).integers(-3, 40, size=(7, 150)).astype(np.float32)
    values[2] = 0
    row, column = np.nonzero(values > 0)
    for one, other in zip(dense_highest(values, count), highest(row, column, values[row, column], count), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nobody_who_bought_is_nothing_to_learn():
    with pytest.raises(ModelError, match="nothing to learn"):
        Ranker.fit([Lesson(history(), NOTHING)], SETTINGS)


@pytest.mark.parametrize("empty", ["events", "products", "both"])
def test_an_empty_shop_has_no_lists(empty, taught):
    some = events().clear() if empty != "products" else events()
    listed = products().clear() if empty != "events" else products()
    assert rank(History(END, some, listed), taught, EVERYBODY, NOTHING, 3).is_empty()


def test_the_version_names_settings_and_what_was_learnt(taught):
    fewer = replace(SETTINGS, trees=10)
    seeded = replace(SETTINGS, tastes=SETTINGS.tastes.model_copy(update={"seed": 7}))
    versions = {taught.version, ranker(fewer).version, ranker(seeded).version}
    assert len(versions) == 3
    assert ranker().version == taught.version
