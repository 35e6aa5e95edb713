"""Who is champion, which night uses which, and what an erasure leaves of it."""

from datetime import date
from pathlib import Path

import pytest

from recsys import champion
from recsys.champion import CARD, HELD_OUT, RANKER, RANKER_FORMAT, Recipe
from recsys.errors import StageInputMissing
from recsys.files import write_json
from recsys.model_settings import Recommend

NIGHT = date(2026, 4, 30)
SETTINGS = {"factors": 16, "half_life_days": 120, "weights": {"order": 1.0, "cart": 0.1, "wishlist": 0.1, "view": 0.0}}


def found(published: Path, name: str, kind: str = "two_stage", form: int = RANKER_FORMAT) -> Path:
    """What a weekly evaluation leaves, and its champion."""
    folder = published / "champions" / name
    for part in (RANKER, HELD_OUT) if kind == "two_stage" else ():
        (folder / part).mkdir(parents=True)
        write_json(folder / part / CARD, {"format": form, "part": part})
        (folder / part / "trees.txt").write_text("trees")
    folder.mkdir(parents=True, exist_ok=True)
    card = {"run_date": name[:10], "champion": Recipe(kind=kind, settings=SETTINGS).model_dump()}
    write_json(folder / CARD, card)
    champion.crown(published, folder)
    return folder


def taken(published: Path, raw: Path) -> Recipe:
    raw.mkdir(exist_ok=True)
    champion.link(published, raw, champion.known(published, NIGHT))
    return champion.recipe_of(raw)


def test_without_a_champion_the_shop_file_holds(tmp_path: Path) -> None:
    assert champion.known(tmp_path, NIGHT) is None
    assert taken(tmp_path, tmp_path / "raw") == Recipe()
    assert not (tmp_path / "raw" / "champion").exists()
    assert Recipe().over(Recommend(factors=8)) == Recommend(factors=8)


def test_a_champion_brings_its_settings_and_leaves_the_others(tmp_path: Path) -> None:
    found(tmp_path, "2026-03-30-abc", kind="als")
    recipe = taken(tmp_path, tmp_path / "raw")
    over = recipe.over(Recommend(k=7, seed=3))
    assert (over.k, over.seed, over.factors, over.half_life_days, over.weights.cart) == (7, 3, 16, 120, 0.1)
    assert recipe.kind == "als"


def test_a_night_keeps_the_champion_it_had(tmp_path: Path) -> None:
    found(tmp_path, "2026-03-30-abc", kind="als")
    before = champion.known(tmp_path, NIGHT)
    found(tmp_path, "2026-04-06-def")
    (tmp_path / "raw").mkdir()
    champion.link(tmp_path, tmp_path / "raw", before)
    assert champion.recipe_of(tmp_path / "raw").kind == "als"
    assert taken(tmp_path, tmp_path / "later").kind == "two_stage"


def test_a_ranker_of_an_older_format_leaves_the_model_alone_with_its_settings(tmp_path: Path) -> None:
    found(tmp_path, "2026-03-30-abc", form=RANKER_FORMAT - 1)
    assert taken(tmp_path, tmp_path / "raw") == Recipe(kind="als", settings=SETTINGS)


def test_a_night_that_is_run_late_uses_no_champion_of_later_nights(tmp_path: Path) -> None:
    found(tmp_path, "2026-03-30-abc")
    assert champion.known(tmp_path, date(2026, 3, 29)) is None
    assert champion.known(tmp_path, date(2026, 3, 30)) is not None


def test_a_withdrawn_ranker_leaves_the_model_alone_with_its_settings(tmp_path: Path) -> None:
    published, raw = tmp_path / "published", tmp_path / "nights" / "2026-04-30" / "raw"
    found(published, "2026-03-30-abc")
    before = champion.known(published, NIGHT)
    raw.mkdir(parents=True)
    champion.link(published, raw, before)
    assert champion.recipe_of(raw).kind == "two_stage"
    assert champion.withdraw(tmp_path) == 2
    assert champion.withdraw(tmp_path) == 0
    assert champion.recipe_of(raw) == Recipe(kind="als", settings=SETTINGS)
    champion.link(published, raw, before)
    assert champion.recipe_of(raw) == Recipe(kind="als", settings=SETTINGS)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{}"), lambda path: path.unlink()])
def test_a_card_that_changed_stops_the_night(tmp_path: Path, spoil) -> None:
    folder = found(tmp_path, "2026-03-30-abc")
    before = champion.known(tmp_path, NIGHT)
    spoil(folder / CARD)
    with pytest.raises(StageInputMissing, match=r"card\.json: gone or changed"):
        champion.link(tmp_path, tmp_path / "raw", before)


def test_what_an_older_night_finds_takes_nothing_away_from_a_newer_one(tmp_path: Path) -> None:
    newer = found(tmp_path, "2026-04-06-def")
    older = found(tmp_path, "2026-03-30-abc", kind="als")
    assert champion.known(tmp_path, NIGHT)["folder"] == newer.name
    assert not champion.crown(tmp_path, older)
    assert champion.crown(tmp_path, newer)
