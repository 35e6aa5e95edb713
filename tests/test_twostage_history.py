"""What a history lets in, and what it counts."""

from datetime import UTC, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from twostage_shop import END, events, history, products

from recsys.errors import ModelError
from recsys.twostage.facts import facts
from recsys.twostage.history import CUSTOMERS, EVENTS, History
from recsys.twostage.purchases import Purchases
from recsys.vocabulary import Interaction

ORDER_ONLY = dict.fromkeys(Interaction, 1.0)


def _events(*rows: tuple[object, ...]) -> pl.DataFrame:
    """Rows of customer, product, order, kind, quantity, days before the end; everything costs 2.50."""
    full = [(who, what, order, kind, n, 2.5, END - timedelta(days=days)) for who, what, order, kind, n, days in rows]
    return pl.DataFrame(full, schema=EVENTS, orient="row")


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(days=3)])
def test_nothing_at_or_after_the_end_gets_in(late):
    slipped = events().head(1).with_columns(occurred_at=pl.lit(END + late).dt.cast_time_unit("us"))
    with pytest.raises(ModelError, match=f"1 of {events().height + 1} are not before the end"):
        History(END, pl.concat([events(), slipped]), products())


def test_an_older_moment_knows_only_what_was_known_then():
    cut = END - timedelta(days=50)
    past = history().before(cut)
    assert past.events["occurred_at"].max() < cut
    assert_frame_equal(past.events, history(cut).events)
    with pytest.raises(ModelError, match="later than its end"):
        past.before(END)


def test_facts_of_today_do_not_reach_an_older_moment():
    today = pl.DataFrame({"customer_id": ["c00"], "orders": [99.0]})
    now = History(END, events(), products(), customers=today)
    then = now.before(END - timedelta(days=100))
    ids = pl.Series(["c00"])
    assert facts(now, ids)["orders"].to_list() == [99.0]
    assert facts(then, ids)["orders"].to_list() == [8.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": END.replace(tzinfo=UTC)}, "time zone"),
        ({"events": events().drop("kind")}, "history.events: without kind"),
        ({"events": events().with_columns(kind=pl.lit("search"))}, "of no kind"),
        ({"events": events().with_columns(customer_id=pl.lit(None, pl.String))}, "customer_id.* empty in"),
        ({"products": pl.concat([products(), products().head(1)])}, "history.products: an id comes more than once"),
        ({"customers": pl.DataFrame({"customer_id": ["a", "a"]})}, "history.customers: an id comes more than once"),
    ],
)
def test_what_cannot_be_a_history_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        History(**{"end": END, "events": events(), "products": products()} | change)


def test_events_of_unlisted_products_are_left_out():
    known = history().events
    extra = events().head(3).with_columns(product_id=pl.lit("secret"))
    assert_frame_equal(History(END, pl.concat([events(), extra]), products()).events, known)


def test_weights_halve_with_age_and_forget_what_was_sent_back():
    shop = _events(
        ("ann", "axe", "1", "order", 2, 30),
        ("ann", "axe", "1", "order", 1, 30),
        ("ann", "bolt", "1", "order", 1, 30),
        ("ann", "bolt", "2", "order", -1, 20),
        ("ann", "bolt", None, "view", None, 60),
        ("ben", "axe", "3", "order", 1, 60),
        ("ben", "drill", "3", "order", 1, 60),
        ("ben", "drill", "4", "order", -2, 50),
    )
    kinds = ORDER_ONLY | {Interaction.ORDER: 4.0}
    assert History(END, shop, products()).weights(30, kinds).rows() == [
        ("ann", "axe", 2.0),
        ("ann", "bolt", 0.25),
        ("ben", "axe", 1.0),
    ]


def test_purchases_say_how_often_how_long_ago_and_in_which_of_the_last_orders():
    shop = _events(
        ("ann", "axe", "1", "order", 2, 60),
        ("ann", "axe", "3", "order", 1, 10),
        ("ann", "bolt", "2", "order", 1, 20),
        ("ben", "bolt", "4", "order", 5, 5),
        ("cat", "bolt", None, "view", None, 5),
    )
    purchases = Purchases(History(END, shop, products()))
    bought = purchases.bought
    names = [
        (purchases.customers[int(c)], purchases.products[int(p)])
        for c, p in zip(bought.customer, bought.product, strict=True)
    ]
    assert names == [("ann", "axe"), ("ann", "bolt"), ("ben", "bolt")]
    assert bought.starts.tolist() == [0, 2, 3, 3]
    assert bought.orders.tolist() == [2, 1, 1]
    assert bought.quantity.tolist() == [3, 1, 5]
    assert bought.first.tolist() == [60, 20, 5]
    assert bought.last.tolist() == [10, 20, 5]
    assert bought.back.tolist() == [0, 1, 0]
    assert np.allclose(bought.recent[60], [0.5 + 0.5 ** (1 / 6), 0.5 ** (1 / 3), 0.5 ** (1 / 12)])


def test_facts_are_counted_as_dbt_counts_them():
    shop = _events(
        ("ann", "axe", "1", "order", 2, 400),
        ("ann", "bolt", "2", "order", 1, 100),
        ("ann", "bolt", "3", "order", 2, 10.5),
        ("ann", "bolt", "4", "order", -1, 5),
        ("cat", "bolt", None, "view", None, 5),
    )
    found = facts(History(END, shop, products()), pl.Series(["cat", "ann", "eve"]))
    assert found.columns == list(CUSTOMERS)
    ann = found.row(1, named=True)
    assert ann == {
        "customer_id": "ann",
        "orders": 3,
        "products_bought": 2,
        "active_days": 3,
        "recency_days": 10,
        "orders_90d": 1,
        "median_days_between_orders": 194.5,
        "spend": 10.0,
        "spend_365d": 5.0,
        "average_order_value": pytest.approx(10 / 3),
        "top_category": None,
    }
    cat = found.row(0, named=True)
    assert (cat["orders"], cat["active_days"], cat["recency_days"]) == (0, 1, None)
    assert found.row(2) == ("eve", *[None] * 10)
