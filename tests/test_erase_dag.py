"""The DAG that erases customers from a file of requests, run for real."""

import json
from pathlib import Path

import erasure_shop
import pytest
import toy
from airflow_run import airflow
from erasure_shop import CANARIES, KIM, left

from recsys.config import Shop
from recsys.ingest import stage
from recsys.night import Night
from recsys.suppression.key import KEY_ENV

DAG = "erase_customers"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow-home")
    migrated = airflow("db", "migrate", home=home)
    assert migrated.returncode == 0, migrated.stdout
    return home


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_ENV, "5e" * 32)
        shop = erasure_shop.write_shop(tmp_path_factory.mktemp("kim"))
        stage.run(Night(shop, toy.RUN_DATE))
        (shop.folder / "inbox" / "requests.txt").write_text(f"{KIM}\n")
        yield shop


def triggered(home: Path, shop: Shop, **conf: str) -> tuple[int, str]:
    arguments = ("dags", "test", DAG, "2026-04-01", "--conf", json.dumps(conf))
    done = airflow(*arguments, home=home, shop_file=shop.path)
    return done.returncode, done.stdout


@pytest.mark.thorough
@pytest.mark.parametrize(
    "conf",
    [
        {"requests": "../elsewhere.txt", "date": "2026-04-01"},
        {"requests": "inbox/requests.txt", "date": "2026-04-01", "force": "yes"},
    ],
)
def test_a_request_that_is_not_allowed_fails_before_anything_is_touched(
    home: Path, shop: Shop, conf: dict[str, str]
) -> None:
    code, printed = triggered(home, shop, **conf)
    assert code != 0
    assert "ConfigError" in printed
    assert not (shop.root / "published").exists()


@pytest.mark.thorough
def test_the_file_of_requests_is_followed_and_nobody_is_named(home: Path, shop: Shop) -> None:
    code, printed = triggered(home, shop, requests="inbox/requests.txt", date="2026-04-01")
    assert code == 0, printed[-4000:]
    assert left(shop.root, *CANARIES) == {}
    assert KIM not in printed
    for path in home.rglob("*"):
        if path.is_file():
            assert KIM.encode() not in path.read_bytes(), path.name
