"""A weekly evaluation of a small demo shop, the nights after it, and one on data that has lost half its lines."""

import json
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from airflow_run import REPOSITORY
from twostage_shop import ranker

from recsys import champion, features, recommend
from recsys.champion import CARD, HELD_OUT, RANKER, Recipe
from recsys.config import load_shop
from recsys.demo.shop import write_demo
from recsys.errors import EvaluationError
from recsys.evaluation import stage, weekly
from recsys.evaluation.contest import CHALLENGERS
from recsys.files import private_folder, read_json, write_json
from recsys.ingest import stage as ingest
from recsys.model_settings import Recommend
from recsys.night import Night

FIRST, NEXT = date(2026, 8, 31), date(2026, 9, 1)

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("recorded_dbt")]


@pytest.fixture(scope="module")
def shop_file(recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weekly")
    write_demo(folder, customers=600, through=NEXT, progress=lambda _said: None)
    text = (REPOSITORY / "examples" / "demo" / "shop.yaml").read_text(encoding="utf-8")
    path = folder / "shop.yaml"
    path.write_text(text.replace("../../data/demo", ".") + "\nevaluate: {trials: 4, folds: 3}\n", encoding="utf-8")
    return path


def made(shop_file: Path, run_date: date) -> Night:
    night = Night(load_shop(shop_file), run_date)
    ingest.run(night)
    features.run(night)
    return night


@pytest.fixture(scope="module")
def first(shop_file: Path) -> Night:
    night = made(shop_file, FIRST)
    weekly.run(night)
    return night


def card_of(night: Night) -> dict:
    name = read_json(night.published / "champion.json")["folder"]
    return read_json(night.published / "champions" / name / CARD)


def crown_two_stages(night: Night) -> None:
    """Let the champion be one with trees, which have learnt from another shop."""
    card = card_of(night) | {"champion": Recipe(kind="two_stage").model_dump(mode="json")}
    folder = night.published / "champions" / f"{card['run_date']}-trees"
    for part in (RANKER, HELD_OUT):
        ranker().save(private_folder(folder / part))
    write_json(folder / CARD, card)
    assert champion.crown(night.published, folder)


def trees_of(night: Night) -> dict[str, bytes]:
    """The champion's files but its card, by name."""
    folder = night.published / "champions" / read_json(night.published / "champion.json")["folder"]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent != folder
    }


def test_the_card_says_what_was_tried_and_what_it_is_worth(first: Night) -> None:
    card = card_of(first)
    assert card["run_date"] == "2026-08-31"
    assert card["window_begin"] == "2026-08-04"
    assert [trial["trial"] for trial in card["trials"]] == [1, 2, 3, 4]
    assert card["trials"][0]["settings"]["half_life_days"] == first.shop.recommend.half_life_days
    assert {score["recommender"] for score in card["scores"]} >= {"als", "two_stage", "champion", "segment_popular"}
    assert {score["metric"] for score in card["scores"]} == {
        *("recall", "ndcg", "average_precision", "hit_rate", "novelty", "diversity", "coverage", "gini")
    }
    assert all(score["low"] <= score["mean"] <= score["high"] for score in card["scores"] if score["low"] is not None)
    assert (card["comparisons"][0]["one"], card["comparisons"][0]["other"]) == ("two_stage_of_buyers", "als")
    assert [it["one"] for it in card["comparisons"]][1] == "two_stage"
    rival = card["comparisons"][-1]
    assert rival["other"] not in {*CHALLENGERS, "champion"}
    assert f"the best simple rival, {rival['other'].replace('_', ' ')}: NDCG {rival['mean']:+.4f} (" in card["sentence"]
    assert card["promoted"] in {None, *CHALLENGERS}
    assert (card["promoted"] is None) == card["sentence"].startswith("The champion stays")
    assert Recommend.model_validate(card["settings"]) == Recipe(**card["champion"]).over(first.shop.recommend)
    assert set(card["versions"]) == {"recsys", "implicit", "lightgbm", "optuna", "numpy"}
    customers = set(pl.read_parquet(first.raw / "customers.parquet")["customer_id"])
    assert not [name for name in customers if name in json.dumps(card)]
    assert not (first.folder / "weekly").exists()
    assert not list((first.folder / "folds").iterdir())


def test_the_next_night_uses_the_champion_and_the_first_one_does_not(first: Night, shop_file: Path) -> None:
    night = made(shop_file, NEXT)
    recommend.run(night)
    card = card_of(first)
    assert night.recipe.model_dump(mode="json") == card["champion"]
    version = pl.read_parquet(night.recommendations)["model_version"].unique().to_list()
    assert [one.startswith("ranker-") for one in version] == [card["champion"]["kind"] == "two_stage"]
    assert stage.run(night)["customers"] > 0
    assert not (first.raw / "champion").exists()


def test_with_half_the_lines_gone_nobody_is_promoted(first: Night, shop_file: Path) -> None:
    crown_two_stages(first)
    before, trees = card_of(first), trees_of(first)
    night = made(shop_file, NEXT)
    lines = pl.read_parquet(night.raw / "order_lines.parquet")
    lines.gather_every(2).write_parquet(night.raw / "order_lines.parquet")
    features.run(night)
    counts = weekly.run(night)
    assert str(counts["sentence"]).startswith("Not judged, the champion stays: of ")
    after = card_of(first)
    assert after["promoted"] is None
    assert after["champion"] == before["champion"]
    assert trees_of(first) == trees, "they are those of the whole data"
    assert after["lines_per_week"] == before["lines_per_week"]


def test_a_shop_too_young_says_what_to_wait_for(shop_file: Path, tmp_path: Path) -> None:
    shutil.copytree(shop_file.parent, tmp_path / "young", ignore=shutil.ignore_patterns("made"))
    night = made(tmp_path / "young" / "shop.yaml", FIRST)
    events = pl.read_parquet(night.raw / "order_lines.parquet")
    events.clear().write_parquet(night.raw / "order_lines.parquet")
    features.run(night)
    with pytest.raises(EvaluationError, match="0 of the last 3 windows of 28 days"):
        weekly.run(night)
    assert not (night.published / "champion.json").exists()
