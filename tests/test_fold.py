"""An earlier night and what came after it: nothing of the latter is in the former."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from airflow_run import tree
from toy import RUN_DATE, write_raw, write_shop

from recsys import features
from recsys.evaluation import stage
from recsys.evaluation.fold import open_fold
from recsys.evaluation.scoreboard import Scoreboard
from recsys.lists import Features
from recsys.model_settings import Evaluate
from recsys.night import Night
from recsys.tables import write_parquet

DAYS = 28
"""The window begins on 2026-03-04, after Ann's order and before everybody else's."""


def add_line(night: Night, at: str, order: str = "late", quantity: int = 1) -> None:
    """Cat, who had nothing before the window, orders mint, or sends some back."""
    path = night.raw / "order_lines.parquet"
    lines = pl.read_parquet(path)
    line = lines.filter(pl.col("customer_id") == "cat").with_columns(
        order_id=pl.lit(order),
        quantity=pl.lit(quantity).cast(lines.schema["quantity"]),
        product_id=pl.lit("mint"),
        ordered_at=pl.lit(datetime.fromisoformat(at)).cast(lines.schema["ordered_at"]),
    )
    write_parquet(pl.concat([lines, line]), path)


@pytest.fixture(scope="module")
def night(recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = Night(write_shop(tmp_path_factory.mktemp("fold")), RUN_DATE)
    write_raw(night)
    features.derive(night)
    return night


def test_what_was_bought_in_the_window_and_what_was_known_before_it(night: Night) -> None:
    with open_fold(night, DAYS) as fold:
        assert fold.night.run_date == date(2026, 3, 3)
        known = pl.read_parquet(fold.night.features / "interactions.parquet")
        assert known.select("customer_id", "product_id").rows() == [("ann", "black"), ("ann", "green")]
        assert fold.bought.rows() == [
            ("ben", "black"),
            ("ben", "green"),
            ("ben", "mint"),
            ("cat", "green"),
            ("dan", "hammer"),
            ("dan", "saw"),
            ("eve", "hammer"),  # and not the drill, which she sent back
        ]
        folder = fold.night.shop.root
    assert not folder.exists()


def test_a_line_of_the_window_changes_what_was_bought_and_nothing_that_was_known(
    night: Night, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Night(write_shop(tmp_path_factory.mktemp("later")), RUN_DATE)
    write_raw(other)
    add_line(other, "2026-03-04T00:00:00")
    features.derive(other)
    with open_fold(night, DAYS) as one, open_fold(other, DAYS) as two:
        assert tree(one.night.features) == tree(two.night.features)
        assert two.bought.join(one.bought, on=["customer_id", "product_id"], how="anti").rows() == [("cat", "mint")]


def test_what_was_sent_back_under_an_order_of_its_own_was_not_bought(
    recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    night = Night(write_shop(tmp_path_factory.mktemp("returned")), RUN_DATE)
    write_raw(night)
    add_line(night, "2026-03-04T00:00:00")
    add_line(night, "2026-03-09T00:00:00", "C-late", -1)
    features.derive(night)
    weighted = Features.of(night).history.weighted(night.recommend)
    for frame in (weighted, Features.of(night).weighted):
        assert frame.filter(customer_id="cat", product_id="mint").is_empty()
    with open_fold(night, DAYS) as fold:
        assert fold.bought.filter(customer_id="cat").rows() == [("cat", "green")]


@pytest.mark.thorough
def test_a_line_before_the_window_is_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    night = Night(write_shop(tmp_path_factory.mktemp("earlier")), RUN_DATE)
    write_raw(night)
    add_line(night, "2026-03-03T23:59:59")
    features.derive(night)
    with open_fold(night, DAYS) as fold:
        known = pl.read_parquet(fold.night.features / "interactions.parquet")
        assert ("cat", "mint") in known.select("customer_id", "product_id").rows()
        assert ("cat", "mint") not in fold.bought.rows()


@pytest.mark.thorough
def test_whoever_has_objected_since_is_not_looked_at_even_in_hindsight(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    night = Night(write_shop(tmp_path_factory.mktemp("objection")), RUN_DATE)
    write_raw(night)
    path = night.raw / "consents.parquet"
    consents = pl.read_parquet(path)
    about = pl.col("customer_id").is_in(["ann", "ben"]) & (pl.col("purpose") == "personalisation")
    moment = pl.lit(datetime(2026, 3, 30)).cast(consents.schema["occurred_at"])
    objections = consents.filter(about).with_columns(status=pl.lit("withdrawn"), occurred_at=moment)
    write_parquet(pl.concat([consents, objections]), path)
    features.derive(night)
    with open_fold(night, DAYS) as fold:
        assert pl.read_parquet(fold.night.features / "interactions.parquet").is_empty()
        assert "ben" not in fold.bought["customer_id"]


def launched(night: Night, products: dict[str, datetime | None]) -> None:
    """The raw products say when these were first offered; dbt has not seen it yet."""
    path = night.raw / "products.parquet"
    table = pl.read_parquet(path)
    moments = pl.DataFrame({"product_id": list(products), "at": list(products.values())}).cast(
        {"at": table.schema["launched_at"]}
    )
    known = table.join(moments, on="product_id", how="left", maintain_order="left")
    write_parquet(known.with_columns(launched_at=pl.coalesce("at", "launched_at")).drop("at"), path)


def test_what_was_launched_after_the_beginning_is_no_candidate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The fold's night ends on 2026-03-04 at midnight; of green nobody knows the launch."""
    night = Night(write_shop(tmp_path_factory.mktemp("launched")), RUN_DATE)
    write_raw(night)
    features.derive(night)
    end = Night(night.shop, date(2026, 3, 3)).end
    launched(
        night, {"mint": end, "hammer": end - timedelta(seconds=1), "black": end + timedelta(days=9), "green": None}
    )
    with open_fold(night, DAYS) as fold:
        board = Scoreboard(fold)
        assert set(board.candidates) == {"green", "hammer", "saw", "drill"}
        assert "mint" not in board.tasks[0].relevant["product_id"]
        assert ("ann", "black") in board.features.interactions.select("customer_id", "product_id").rows()


def test_whoever_had_no_history_is_judged_as_well(night: Night) -> None:
    """Ben, Cat, Dan and Eve did nothing before the window and would have got a list: whether it hit, counts."""
    with open_fold(night, DAYS) as fold:
        board = Scoreboard(fold)
        assert board.tasks[0].customers.to_list() == ["ben", "cat", "dan", "eve"]
        nobody = pl.DataFrame(schema={"customer_id": pl.String, "rank": pl.Int32, "product_id": pl.String})
        missed = board.judged(board.tasks[0], nobody)
        assert missed.select("customer_id", "hit_rate").rows() == [(name, 0.0) for name in ("ben", "cat", "dan", "eve")]


@pytest.mark.thorough
def test_the_stage_writes_a_table_and_the_sentence_and_again_the_same_bytes(night: Night) -> None:
    measured = night.shop.model_copy(update={"evaluate": Evaluate(window_days=DAYS)})
    night = Night(measured, night.run_date)
    counts = stage.run(night)
    assert counts["window_begin"] == "2026-03-04"
    assert counts["customers"] == 4
    scores = pl.read_parquet(night.evaluation / "scores.parquet")
    assert scores.schema == stage.TABLE_SCHEMA
    whole = scores.filter(pl.col("split") == "everybody", pl.col("metric") == "hit_rate", pl.col("task") == "next")
    assert set(whole["recommender"]) == {
        "popular_all_time",
        "popular",
        "segment_popular",
        "own_history",
        "item_cosine",
        "als",
        "shipped",
    }
    assert (whole["customers"] == 4).all()
    parts = scores.filter(pl.col("recommender") == "shipped", pl.col("metric") == "hit_rate", pl.col("task") == "next")
    found = parts.filter(pl.col("split").is_in(["known", "repeat"])).select("split", "part", "customers").rows()
    assert found == [("known", "nothing", 4), ("repeat", "new to them", 4)]
    before = tree(night.evaluation)
    assert stage.run(night) == counts
    assert tree(night.evaluation) == before
    assert not (night.folder / "folds" / "1").exists()
