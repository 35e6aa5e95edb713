"""What simple recommenders name, on tables that fit in the head."""

import numpy as np
import polars as pl
import pytest

from recsys.evaluation.rivals import ItemCosine, OwnHistory, Then, segment_popular
from recsys.models.popular import PopularList
from recsys.models.recommender import Recommender
from recsys.ranking import numbered

PAIRS = {"customer_id": pl.String, "product_id": pl.String}
NOTHING = pl.DataFrame(schema=PAIRS)

#        green  black  mint  saw
# ann      4      1
# ben      1      1      1
# cat                    1
# dan                          2
WEIGHED = pl.DataFrame(
    [
        ("ann", "green", 4.0),
        ("ann", "black", 1.0),
        ("ben", "green", 1.0),
        ("ben", "black", 1.0),
        ("ben", "mint", 1.0),
        ("cat", "mint", 1.0),
        ("dan", "saw", 2.0),
    ],
    schema={**PAIRS, "weight": pl.Float64},
    orient="row",
)
PRODUCTS = pl.Series(["black", "green", "mint", "saw"])
POPULARITY = pl.DataFrame({"product_id": ["saw", "green", "mint", "black"], "rank": [1, 2, 3, 4]})
SEGMENTS = pl.DataFrame({"customer_id": ["ann", "ben", "cat", "dan"], "segment": ["tea", "tea", "tea", "tools"]})


def named(recommender: Recommender, *customers: str, excluded: pl.DataFrame = NOTHING, n: int = 4) -> dict[str, str]:
    """Customer -> products in order, parted by spaces."""
    found = recommender.recommend(pl.Series(customers), PRODUCTS, excluded, n)
    lists = numbered(found, n).group_by("customer_id", maintain_order=True).agg(pl.col("product_id"))
    return {customer: " ".join(products) for customer, products in lists.iter_rows()}


def test_own_history_is_what_counted_most() -> None:
    assert named(OwnHistory(WEIGHED), "ann", "ben", "nobody") == {"ann": "green black", "ben": "black green mint"}


def test_a_segment_gets_what_its_members_bought_then_what_is_popular() -> None:
    popular = segment_popular(SEGMENTS, WEIGHED, POPULARITY)
    assert named(popular, "ann", "dan", "nobody") == {
        "ann": "green mint black saw",  # green, mint and black 2 each: the overall rank decides; saw nobody
        "dan": "saw green mint black",
        "nobody": "saw green mint black",
    }


def test_what_is_excluded_is_not_named_and_the_next_ones_move_up() -> None:
    excluded = pl.DataFrame([("ann", "green"), ("dan", "saw")], schema=PAIRS, orient="row")
    assert named(segment_popular(SEGMENTS, WEIGHED, POPULARITY), "ann", "dan", excluded=excluded, n=2) == {
        "ann": "mint black",
        "dan": "green mint",
    }
    assert named(OwnHistory(WEIGHED), "ann", "dan", excluded=excluded) == {"ann": "black"}


def test_item_cosine_is_the_formula() -> None:
    ids = sorted(set(WEIGHED["customer_id"]))
    weights = np.zeros((len(ids), len(PRODUCTS)))
    for customer, product, weight in WEIGHED.iter_rows():
        weights[ids.index(customer), PRODUCTS.to_list().index(product)] = weight
    unit = weights / np.linalg.norm(weights, axis=0)
    similar = unit.T @ unit
    np.fill_diagonal(similar, 0)
    wanted = weights @ similar
    found = ItemCosine(WEIGHED).recommend(pl.Series(ids), PRODUCTS, NOTHING, 4)
    for customer, product, score in found.iter_rows():
        assert score == pytest.approx(wanted[ids.index(customer), PRODUCTS.to_list().index(product)], rel=1e-6)
    assert found.height == (wanted > 0).sum()
    assert named(ItemCosine(WEIGHED), "dan") == {}


def test_then_goes_on_where_the_first_ends() -> None:
    both = Then(OwnHistory(WEIGHED), PopularList(POPULARITY))
    assert named(both, "ann", "nobody", n=3) == {"ann": "green black saw", "nobody": "saw green mint"}


@pytest.mark.parametrize("kind", [OwnHistory, ItemCosine])
def test_the_order_of_rows_makes_no_difference_and_no_rows_name_nothing(kind) -> None:
    assert named(kind(WEIGHED.reverse()), "ann", "ben") == named(kind(WEIGHED), "ann", "ben")
    assert named(kind(WEIGHED.clear()), "ann") == {}
