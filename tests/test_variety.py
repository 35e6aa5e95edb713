"""Limits on categories and brands: what a list may hold, whatever the order in which limits bind."""

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.list_settings import Variety as Settings
from recsys.variety import NO_LIMITS, Variety

PRODUCTS = pl.DataFrame(
    [
        ("sencha", "tea", "leaf"),
        ("assam", "tea", "leaf"),
        ("mint", "tea", "herbs"),
        ("cup", "ware", "leaf"),
        ("pot", "ware", None),
        ("saw", None, None),
    ],
    schema=["product_id", "top_category", "brand"],
    orient="row",
)


HAD = pl.DataFrame(
    [
        ("ann", "assam", True),
        ("ann", "cup", True),
        ("ann", "saw", True),
        ("ann", "pot", False),
        ("b", "mint", True),
        ("b", "pot", None),
        ("b", "saw", True),
    ],
    schema=["customer_id", "product_id", "is_bought"],
    orient="row",
)


def kept(names: str, **settings: int) -> str:
    rows = pl.DataFrame({"customer_id": "ann", "product_id": names.split()})
    return " ".join(Variety.of(PRODUCTS, HAD, Settings(**settings)).within(rows)["product_id"])


def test_the_best_of_each_stay():
    assert kept("sencha assam mint cup pot saw", max_per_category=1) == "sencha cup saw"
    assert kept("pot mint cup saw sencha", max_per_brand=1) == "pot mint cup saw"
    assert kept("sencha assam mint cup pot saw") == "sencha assam mint cup pot saw"


def test_what_one_limit_leaves_out_does_not_count_for_the_other():
    """Assam is one tea too many, so the cup is the second of its brand, and not the third."""
    assert kept("sencha assam cup", max_per_category=1, max_per_brand=2) == "sencha cup"


def test_only_so_many_were_bought_before():
    """She had assam, cup and saw, and looked at the pot."""
    assert kept("assam pot cup saw mint", max_bought_again=2) == "assam pot cup mint"
    assert kept("assam pot cup saw mint", max_bought_again=0) == "pot mint"
    assert kept("assam sencha cup mint", max_bought_again=1, max_per_brand=2) == "assam sencha mint"
    assert kept("assam cup sencha mint", max_bought_again=1, max_per_brand=2) == "assam sencha mint"


def test_without_category_or_brand_nothing_is_limited():
    assert kept("saw pot", max_per_category=1, max_per_brand=1) == "saw pot"


def test_no_limits_change_nothing():
    rows = pl.DataFrame({"customer_id": ["ann"], "product_id": ["unheard-of"]})
    assert_frame_equal(NO_LIMITS.within(rows), rows)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(PRODUCTS["product_id"].to_list())), unique=True, max_size=12
    ),
    category=st.none() | st.integers(1, 3),
    brand=st.none() | st.integers(1, 3),
    again=st.none() | st.integers(0, 2),
)
def test_laws_of_variety(rows, category, brand, again):
    frame = pl.DataFrame(rows, schema={"customer_id": pl.String, "product_id": pl.String}, orient="row")
    limits = Settings(max_per_category=category, max_per_brand=brand, max_bought_again=again)
    variety = Variety.of(PRODUCTS, HAD, limits)
    found = variety.within(frame)
    known = found.join(PRODUCTS, on="product_id")
    for column, most in (("top_category", category), ("brand", brand)):
        counts = known.drop_nulls(column).group_by("customer_id", column).len()["len"]
        assert most is None or all(count <= most for count in counts)
    counts = found.join(HAD.filter("is_bought"), on=["customer_id", "product_id"]).group_by("customer_id").len()["len"]
    assert again is None or all(count <= again for count in counts)
    assert_frame_equal(found, frame.join(found, on=found.columns, how="semi", maintain_order="left"))
    for customer in "ab":  # nobody's list depends on anybody else's
        alone = variety.within(frame.filter(customer_id=customer))
        assert_frame_equal(found.filter(customer_id=customer), alone)
    assert_frame_equal(variety.within(found), found)
    assert found.rows() == [row for row, is_kept in zip(rows, _one_by_one(rows, variety), strict=True) if is_kept]


def _one_by_one(rows: list[tuple[str, str]], variety: Variety) -> list[bool]:
    """The definition: from the best on, a row is kept where no limit is reached by those kept before it."""
    groups = {product: dict(zip(PRODUCTS.columns[1:], kinds, strict=True)) for product, *kinds in PRODUCTS.iter_rows()}
    had, counts, answers = set(HAD.filter("is_bought").select("customer_id", "product_id").rows()), Counter(), []
    for customer, product in rows:
        mine = groups[product] | {"is_bought": True if (customer, product) in had else None}
        keys = {column: (customer, column, mine[column]) for column in variety.most if mine[column] is not None}
        answers.append(all(counts[key] < variety.most[column] for column, key in keys.items()))
        counts.update(keys.values() if answers[-1] else [])
    return answers
