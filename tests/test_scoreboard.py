"""Rivals under the rules of what ships: a customer's own noes, and the limits of variety, hold for every list."""

from pathlib import Path

import polars as pl
import pytest
from test_recommend import INTERACTIONS, PRODUCTS, rules, write_features
from test_splits import FACTS
from toy import RUN_DATE, write_shop

from recsys.evaluation.fold import Fold
from recsys.evaluation.scoreboard import Scoreboard
from recsys.list_settings import Variety
from recsys.lists import Learnt
from recsys.night import Night
from recsys.tables import write_parquet

PAIR = ["customer_id", "product_id"]
EVERY_RIVAL = ["popular_all_time", "popular", "segment_popular", "own_history", "item_cosine", "als", "shipped"]
BOUGHT = pl.DataFrame([(who, "mint") for who in ("ann", "cat", "dan")], schema=PAIR, orient="row")


def board_of(
    folder: Path, variety: Variety, told: pl.DataFrame, bought: pl.DataFrame = BOUGHT, *, is_due: bool = True
) -> Scoreboard:
    """The board of what they bought next; teas may be bought again once they are due."""
    shop = write_shop(folder).model_copy(update={"variety": variety})
    night = Night(shop, RUN_DATE)
    sold = INTERACTIONS.group_by("product_id").agg(buyers_ever=pl.len())
    popularity = pl.DataFrame({"product_id": ["green", "black", "hammer", "mint", "saw", "drill"], "rank": range(1, 7)})
    write_features(
        night,
        topic_rules=told,
        interactions=INTERACTIONS.with_columns(is_due=is_due),
        popularity=popularity.join(sold, on="product_id", how="left"),
    )
    write_parquet(FACTS, night.features / "customer_features.parquet")
    return Scoreboard(Fold(night, 28, bought))


def lists_of(folder: Path, variety: Variety, told: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Recommender -> its lists for what they bought next."""
    board = board_of(folder, variety, told)
    return dict(board.lists(board.tasks[0], Learnt.of(board.features)))


def named(lists: pl.DataFrame, customer: str) -> list[str]:
    return lists.filter(pl.col("customer_id") == customer)["product_id"].to_list()


def test_no_rival_names_products_of_a_topic_that_the_customer_excluded(tmp_path: Path) -> None:
    lists = lists_of(tmp_path, Variety(), rules(("ann", "exclude", "tea", None)))
    assert list(lists) == EVERY_RIVAL
    for name, made in lists.items():
        assert not {"green", "black", "mint"} & set(named(made, "ann")), name
        assert {"green", "mint"} & set(named(made, "cat")), name


def test_what_a_customer_wants_less_of_moves_down_in_every_list(tmp_path: Path) -> None:
    lists = lists_of(tmp_path, Variety(), rules(("cat", "demote", "tea", 0.001)))
    for name in ("popular_all_time", "popular", "segment_popular"):
        assert set(named(lists[name], "cat")[:3]) <= {"hammer", "saw", "drill"}, name


@pytest.mark.parametrize("most", [1, 2])
def test_limits_of_variety_hold_for_every_rival(tmp_path: Path, most: int) -> None:
    lists = lists_of(tmp_path, Variety(max_per_category=most, max_bought_again=1), rules())
    bought = INTERACTIONS.filter("is_bought").select(PAIR)
    for name, made in lists.items():
        assert made["customer_id"].n_unique() == 3, name
        of_category = made.join(PRODUCTS, on="product_id").group_by("customer_id", "top_category").len()
        assert of_category["len"].max() == most, name
        again = made.join(bought, on=PAIR, how="semi").group_by("customer_id").len()
        assert (again["len"] <= 1).all(), name


def test_what_our_own_rule_barred_and_was_bought_after_all_is_a_miss(tmp_path: Path) -> None:
    again = pl.DataFrame([("cat", "green"), ("dan", "mint")], schema=PAIR, orient="row")
    board = board_of(tmp_path, Variety(), rules(), again, is_due=False)
    task = board.tasks[0]
    assert task.relevant.rows() == again.rows(), "Cat's green is not due, and is to be found all the same"
    shipped = dict(board.lists(task, Learnt.of(board.features)))["shipped"]
    assert "green" not in named(shipped, "cat")
    assert "mint" in named(shipped, "dan")
    assert board.judged(task, shipped).select("customer_id", "hit_rate").rows() == [("cat", 0.0), ("dan", 1.0)]
