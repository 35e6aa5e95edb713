"""What of a channel of each kind is delivered, and what waits for a person: never a file that no night makes."""

import shlex
from pathlib import Path

import pytest
import toy
import yaml
from api_delivery import published
from delivery_faults import Inbox, night_with_target
from publisher_faults import CHANNEL
from typer.testing import CliRunner

from recsys import export, pipeline
from recsys.channels.kinds import BUILT_IN, kind_of
from recsys.cli import app
from recsys.config import load_shop
from recsys.delivery.approval import approve_channel, is_approved, waits
from recsys.delivery.audiences import audience_of, channels
from recsys.delivery.redeliver import redeliver_night
from recsys.delivery.settings import Deliver
from recsys.delivery.stage import deliver
from recsys.lock import exclusive
from recsys.manifest import SUCCESS, read_published
from recsys.night import Night
from recsys.report.summary import show


def of_kind(folder: Path, kind: str, **more: object) -> Night:
    """A night of a shop with one channel of a kind, delivered to a folder."""
    path = night_with_target(folder, f"file://{folder / 'inbox'}").shop.path
    content = yaml.safe_load(path.read_text())
    content["channels"] = [{**content["channels"][0], "name": "it", "kind": kind, **more}]
    path.write_text(yaml.safe_dump(content))
    return Night(load_shop(path), toy.RUN_DATE)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_what_is_delivered_of_a_channel_is_what_a_night_exports_of_it(kind: str, tmp_path: Path) -> None:
    night = of_kind(tmp_path, kind)
    assert channels(night) == [name for name in export.channels(night) if name != "catalogue"]


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if "check_in" in kind_of(kind).moments])
def test_a_check_in_is_delivered_where_the_channel_makes_one(kind: str, tmp_path: Path) -> None:
    asking = of_kind(tmp_path, kind, moments=["recommendations", "check_in"])
    assert channels(asking) == ["it", "check_in_it"]
    assert channels(of_kind(tmp_path / "other", kind, moments=["recommendations"])) == ["it"]


def test_a_channel_without_check_in_is_approved_alone_and_leaves(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    night = night_with_target(tmp_path / "shop", f"file://{inbox.folder}", approve=True)
    path = night.shop.path
    path.write_text(path.read_text().replace("kind: email_file,", "kind: email_file, moments: [recommendations],"))
    night = Night(load_shop(path), night.run_date)
    assert waits(night, CHANNEL)
    assert approve_channel(night, CHANNEL, "ann") == [CHANNEL]
    assert redeliver_night(night) == {CHANNEL: None}
    assert len(inbox.lying()) == 3


def test_what_is_not_published_waits_for_nobody(tmp_path: Path) -> None:
    """So a night goes on to deliver it, which says what is missing, and what comes after it runs."""
    night = night_with_target(tmp_path / "shop", f"file://{tmp_path / 'inbox'}", approve=True)
    assert [waits(night, name) for name in channels(night)] == [True, False]
    (night.audience(CHANNEL) / "one.csv").write_text("other")
    assert not waits(night, CHANNEL)
    (night.audience(CHANNEL) / SUCCESS).unlink()
    assert not waits(night, CHANNEL)


@pytest.mark.parametrize("what", ["{}_20260901.txt {}_clear_20260901.txt", "{}_personalised_20260901_2.csv"])
def test_the_manifest_has_the_date_of_its_files_whatever_the_night(what: str, tmp_path: Path) -> None:
    """As Salesforce files do that are named by the account's clock: two nights never share a date in the folder."""
    name, inbox = "sft_20250101", Inbox(tmp_path / "inbox")
    files = {file.format(name): b"" for file in what.split()}
    night = published(tmp_path / "shop", name, files, [])
    with exclusive(night.shop.root):
        deliver(audience_of(night, name), Deliver(to=f"file://{inbox.folder}"))
    assert inbox.lying() == sorted([*files, f"{name}_20260901.manifest.json"])


TOOLS = [kind for kind in BUILT_IN if kind not in {"email_file", "crm_file"}]
APPROVED = "meta_custom_audiences"


@pytest.mark.thorough
def test_a_night_of_every_tool_is_delivered_to_a_folder_and_one_waits_for_a_person(tmp_path: Path) -> None:
    inbox = tmp_path / "arrived"
    inbox.mkdir()
    path = toy.write_shop(tmp_path).path
    content = yaml.safe_load(path.read_text())
    content["channels"] = [
        {"name": kind, "kind": kind, "slots": 2, "min_items": 1}
        | {"deliver": {"to": f"file://{inbox}", "approve": kind == APPROVED}}
        for kind in TOOLS
    ]
    asked = next(channel for channel in content["channels"] if channel["name"] == "klaviyo")
    asked["moments"] = ["recommendations", "check_in"]
    content |= {"gate": {"min_recipients": 0, "min_coverage": 0}, "evaluate": {"nightly": False}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    told: list[str] = []
    assert pipeline.run_night(path, toy.RUN_DATE, told.append), told
    night = pipeline.open_night(path, toy.RUN_DATE)
    assert night.analysts.is_file()
    assert night.page.is_file()
    assert "check_in_klaviyo" in channels(night)
    arrived = {file.name for file in inbox.iterdir()}
    assert arrived == {name for channel in channels(night) if channel != APPROVED for name in sent_of(night, channel)}
    [command] = [line.split("`")[1] for line in told if "waits for" in line]
    ran = CliRunner().invoke(app, shlex.split(command)[1:])
    assert ran.exit_code == 0, ran.output
    assert is_approved(audience_of(night, APPROVED))
    assert not any(redeliver_night(night).values())
    assert {file.name for file in inbox.iterdir()} == {
        n for channel in channels(night) for n in sent_of(night, channel)
    }
    assert pipeline.tell_again(path, toy.RUN_DATE, told.append)
    assert show(night)


def sent_of(night: Night, channel: str) -> set[str]:
    """A published audience's files, and its manifest by the date that is in their names."""
    found = read_published(night.audience(channel))
    assert found is not None
    names = {file.file for file in found.manifest.files}
    [day] = {name.rpartition(".")[0].split("_")[-1] for name in names}
    return {*names, f"{channel}_{day}.manifest.json"}
