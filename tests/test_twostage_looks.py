"""What is known of pairs that were looked at: counted as one can by hand."""

from datetime import timedelta

import numpy as np
import polars as pl
from twostage_shop import END

from recsys.twostage.history import EVENTS, History
from recsys.twostage.looks import Looks
from recsys.twostage.purchases import Purchases

PRODUCTS = pl.DataFrame({"product_id": ["mint", "saw", "tea"], "is_eligible": [True, True, True]})


def looks(*rows: tuple[str, str, str, float]) -> tuple[Purchases, Looks]:
    """Rows of customer, product, kind, days before the end."""
    full = [(who, what, "o1" if kind == "order" else None, kind, 1, 2.5, END - timedelta(days=days))
            for who, what, kind, days in rows]  # fmt: skip
    history = History(END, pl.DataFrame(full, schema=EVENTS, orient="row"), PRODUCTS)
    purchases = Purchases(history)
    return purchases, Looks(history, purchases)


def test_looks_carts_and_wishes_are_counted_per_pair_and_orders_are_not() -> None:
    purchases, found = looks(
        ("ann", "tea", "view", 9.0),
        ("ann", "tea", "view", 2.5),
        ("ann", "tea", "cart", 2.0),
        ("ann", "saw", "wishlist", 30.0),
        ("ann", "mint", "order", 1.0),
        ("ben", "tea", "order", 4.0),
        ("ben", "mint", "view", 0.5),
    )
    assert purchases.customers.to_list() == ["ann", "ben"]
    pairs = [("ann", "mint"), ("ann", "saw"), ("ann", "tea"), ("ben", "mint"), ("ben", "saw"), ("ben", "tea")]
    rows, columns = np.repeat([0, 1], 3).astype(np.int32), np.tile([0, 1, 2], 2).astype(np.int32)
    of = found.of(rows, columns)
    assert dict(zip(pairs, of["views"].tolist(), strict=True)) == dict.fromkeys(pairs, 0.0) | {
        ("ann", "tea"): 2.0,
        ("ben", "mint"): 1.0,
    }
    assert of["wishes"].tolist() == [0, 1, 1, 0, 0, 0]
    np.testing.assert_allclose(of["days_since_seen"], [np.nan, 30, 2, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(found.of_customers["looks"], [4, 1])
    np.testing.assert_allclose(found.of_customers["days_since_look"], [2, 0.5])


def test_a_shop_without_web_events_knows_that_nothing_was_looked_at() -> None:
    purchases, found = looks(("ann", "tea", "order", 4.0))
    of = found.of(np.zeros(3, dtype=np.int32), np.arange(3, dtype=np.int32))
    assert of["views"].tolist() == of["wishes"].tolist() == [0, 0, 0]
    assert np.isnan(of["days_since_seen"]).all()
    assert found.of_customers["looks"].tolist() == [0] * purchases.shape[0]
