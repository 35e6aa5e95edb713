"""The export stage: nothing gets a final name without a green verdict on exactly its bytes."""

import hashlib
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from channel_contract import toy_decisions, write_decisions
from publisher_faults import tree
from toy import RUN_DATE, write_shop

from recsys import export
from recsys.audit import Check, Verdict
from recsys.channels import render
from recsys.config import Shop, load_shop
from recsys.errors import AlreadyPublished, ConfigError, Fenced, ModelError, NotAudited, StageInputMissing
from recsys.files import sha256_of
from recsys.manifest import read_published
from recsys.night import Night
from recsys.publisher import start_attempt
from recsys.tables import write_parquet

GREEN = Check(suite="files/email_file", check="ordered", severity="critical", passed=True)
RED = Check(suite="files/email_file", check="consent", severity="critical", passed=False, detail="1 of 3")
WARNING = Check(suite="files/email_file", check="volume", severity="warning", passed=False)


def judge(night: Night, *checks: Check) -> None:
    """The gate's verdict on everything that is there."""
    paths = [night.recommendations, *night.files.rglob("*.csv"), *night.decisions.glob("*.parquet")]
    paths += night.folder.glob("rows/*.parquet")
    files = {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in sorted(paths)}
    Verdict(run_date=night.run_date, checks=checks, files=files).write(night.verdict)


def ready(shop: Shop, run_date: date = RUN_DATE, models: tuple[str, ...] = ("als-1",)) -> Night:
    """A night after render and a green gate."""
    night = Night(shop, run_date)
    toy_decisions(night.decisions)
    write_parquet(pl.DataFrame({"model_version": models}, schema={"model_version": pl.String}), night.recommendations)
    render.run(night)
    judge(night, GREEN, GREEN, WARNING)
    return night


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return write_shop(tmp_path)


def test_every_channel_and_the_catalogue_can_be_exported(shop: Shop) -> None:
    assert export.channels(Night(shop, RUN_DATE)) == [
        *("email_file", "crm_file", "check_in_email_file", "check_in_crm_file", "catalogue")
    ]


def test_a_green_night_is_published_channel_by_channel(shop: Shop) -> None:
    night = ready(shop)
    for channel in export.channels(night):
        counts = export.run(night, channel)
        finished = night.files / channel / f"{channel}_20260331.csv"
        made = sorted((night.files / channel).iterdir())
        people = 0 if channel.startswith("check_in") else 3
        published = read_published(night.audience(channel))
        assert published is not None
        assert [file.file for file in published.manifest.files] == [path.name for path in made]
        assert [(night.audience(channel) / path.name).read_bytes() for path in made] == [p.read_bytes() for p in made]
        file = published.manifest.audience_file
        assert file is not None
        with finished.open(encoding="utf-8") as stream:
            assert ",".join(f'"{name}"' for name in file.columns) + "\n" == stream.readline()
        assert (file.rows, file.bytes) == (people, finished.stat().st_size)
        assert (published.manifest.model_version, published.manifest.checks_passed) == ("als-1", 2)
        assert counts == {
            "channel": channel,
            "files": len(made),
            "rows": people,
            "bytes": sum(path.stat().st_size for path in made),
            "manifest_sha256": hashlib.sha256((night.audience(channel) / "manifest.json").read_bytes()).hexdigest(),
            "published": "now",
        }


def test_an_empty_audience_is_published_as_a_header(shop: Shop) -> None:
    night = ready(shop, models=())
    write_decisions(night.decisions)
    render.run(night)
    judge(night, GREEN)
    assert export.run(night, "email_file")["rows"] == 0
    published = read_published(night.audience("email_file"))
    assert published is not None
    assert published.manifest.model_version is None


def test_exporting_again_changes_nothing(shop: Shop) -> None:
    night = ready(shop)
    first = export.run(night, "email_file")
    before = tree(night.published)
    render.run(night)
    assert export.run(night, "email_file") == first | {"published": "before, with the same bytes"}
    assert tree(night.published) == before


def test_other_bytes_for_a_published_day_are_refused(shop: Shop) -> None:
    night = ready(shop)
    export.run(night, "email_file")
    before = tree(night.published)
    write_decisions(night.decisions)
    render.run(night)
    judge(night, GREEN)
    with pytest.raises(AlreadyPublished, match=r"email_file_20260331\.csv: published 3 rows, .*, now 0 rows"):
        export.run(night, "email_file")
    assert tree(night.published) == before


def _no_verdict(night: Night) -> None:
    night.verdict.unlink()


def _red_gate(night: Night) -> None:
    judge(night, GREEN, RED)


def _nothing_checked(night: Night) -> None:
    judge(night)


def _file_changed(night: Night) -> None:
    path = night.files / "email_file" / "email_file_20260331.csv"
    path.write_bytes(path.read_bytes().replace(b"Green", b"Grean"))


def _file_added(night: Night) -> None:
    (night.files / "email_file" / "more.csv").write_text('"customer_id"\n"eve"\n')


def _other_recommendations(night: Night) -> None:
    write_parquet(pl.DataFrame({"model_version": ["als-2"]}), night.recommendations)


def _verdict_of_yesterday(night: Night) -> None:
    judge(night, GREEN)
    verdict = Verdict.read(night.verdict)
    verdict.model_copy(update={"run_date": night.run_date - timedelta(days=1)}).write(night.verdict)


@pytest.mark.parametrize(
    "spoil",
    [
        _no_verdict,
        _red_gate,
        _nothing_checked,
        _file_changed,
        _file_added,
        _other_recommendations,
        _verdict_of_yesterday,
    ],
)
def test_without_a_green_verdict_on_these_bytes_nothing_leaves_and_last_night_stays(shop: Shop, spoil) -> None:
    yesterday = ready(shop, RUN_DATE - timedelta(days=1))
    export.run(yesterday, "email_file")
    night = ready(shop)
    before = tree(night.published)
    spoil(night)
    with pytest.raises(NotAudited):
        export.run(night, "email_file")
    assert tree(night.published) == before
    assert not night.audience("email_file").exists()


@pytest.mark.parametrize("name", ["crm_file", "crm_file_remove", "crm_file_clear"])
def test_without_all_of_its_files_an_audience_stays_and_it_says_what_to_run(shop: Shop, name: str) -> None:
    night = ready(shop)
    (night.files / "crm_file" / f"{name}_20260331.csv").unlink()
    with pytest.raises(StageInputMissing, match=rf"no finished {name}_20260331\.csv .*Run render and the gate first"):
        export.run(night, "crm_file")
    assert not night.published.exists()


def test_a_channel_that_is_not_in_the_shop_file_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="'fax' is not in the shop file; there are: email_file, crm_file, check_in"):
        export.run(Night(shop, RUN_DATE), "fax")


def test_no_channel_can_take_the_catalogues_name(shop: Shop) -> None:
    shop.path.write_text(shop.path.read_text().replace("{name: crm_file", "{name: catalogue"))
    with pytest.raises(ConfigError, match="the name catalogue is taken"):
        load_shop(shop.path)


def test_recommendations_of_two_models_are_refused(shop: Shop) -> None:
    night = ready(shop, models=("als-1", "als-2"))
    with pytest.raises(ModelError, match="made by 2 model versions"):
        export.run(night, "email_file")
    assert not night.published.exists()


def test_an_attempt_that_was_overtaken_is_fenced_and_the_newer_one_publishes(shop: Shop) -> None:
    night = ready(shop)
    old, new = start_attempt(night, "email_file"), start_attempt(night, "email_file")
    with pytest.raises(Fenced):
        export.run(night, "email_file", token=old.number)
    assert read_published(night.audience("email_file")) is None
    assert export.run(night, "email_file", token=new.number)["published"] == "now"


def test_filling_in_nights_forward_and_backward_gives_the_same_bytes(tmp_path: Path) -> None:
    trees = []
    for name, days in (("forward", range(5)), ("backward", range(4, -1, -1))):
        shop = write_shop(tmp_path / name)
        for day in days:
            night = ready(shop, RUN_DATE + timedelta(days=day))
            for channel in export.channels(night):
                export.run(night, channel)
        trees.append(tree(shop.root / "published"))
    # per night: manifest and _SUCCESS of each audience, each file with its hash, and six entries in the ledger
    assert len(trees[0]) == 5 * (2 * (2 + 3 * 2) + 3 * (2 + 2) + 2 * 2 + 2)
    assert trees[0] == trees[1]
