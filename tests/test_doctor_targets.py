"""What the doctor says of targets: what shows without contacting them, and what opening them shows; never a write."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from outside_servers import SSHD, SftpServer, new_key, sftp_server
from publisher_faults import night_below
from tool_servers import KEY, Braze, Klaviyo, running

from recsys.config import load_shop
from recsys.delivery.credentials import variable_of
from recsys.doctor.finding import Finding
from recsys.doctor.targets import findings
from recsys.night import Night

with_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd here")
FILES = ("it_20260331.json", "it_clear_20260331.json", "it_remove_20260331.csv")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """What the doctor says of one channel with this section `deliver` and, in the environment, this connection."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(deliver: dict[str, object], connection: object = None, *, reach: bool = False, **more: object):
        path = night_below(tmp_path / "shop").shop.path
        content = yaml.safe_load(path.read_text())
        if connection is not None:
            deliver = deliver | {"connection": "there"}
            monkeypatch.setenv(variable_of("there"), json.dumps(connection))
        content["channels"] = [{"name": "it", "kind": "email_file", "deliver": deliver, **more}]
        path.write_text(yaml.safe_dump(content))
        night = Night(load_shop(path), night_below(tmp_path / "other").run_date)
        people = 0 if deliver.get("approve") else 2
        return list(findings(night, night.shop.channels[0], FILES, people, reach=reach))

    return ask


SFTP = {"to": "sftp://files.example.com/in"}
KEYED = {"login": "me", "password": "secret"}
KLAVIYO = {"kind": "klaviyo", "format": "json"}
BRAZE = {"kind": "braze", "format": "jsonl"}


@pytest.mark.parametrize(
    ("deliver", "connection", "more", "expected"),
    [
        ({"to": "api:klaviyo"}, None, KLAVIYO, "set the environment variable RECSYS_CONNECTION_KLAVIYO"),
        ({"to": "api:klaviyo"}, {"login": "x"}, KLAVIYO, "no password"),
        ({"to": "api:klaviyo"}, {"password": "x", "host": "http://k.example.com"}, KLAVIYO, "in clear"),
        ({"to": "api:braze"}, {"password": "x"}, BRAZE, "no host. The address of the tool's REST endpoint"),
        ({"to": "api:braze"}, {"password": "x", "host": "b", "extra": {"updates": 900}}, BRAZE, "updates in extra"),
        (SFTP, None, {}, "no login"),
        (SFTP, {"login": "me"}, {}, "neither a password nor private_key"),
        (SFTP, KEYED, {}, "no host key of files.example.com is known"),
        (SFTP, KEYED | {"host": "other.example.com"}, {}, "is for another host than files.example.com"),
        (SFTP, KEYED | {"extra": {"private_key": "x"}}, {}, "no host key"),
        (SFTP | {"connection": "none_such"}, None, {}, "RECSYS_CONNECTION_NONE_SUCH"),
        ({"to": "file:///no/such/folder"}, None, {}, "/no/such/folder: no such folder"),
    ],
)
def test_what_cannot_work_stops_the_channel_without_contacting_anything(
    told: Callable[..., list[Finding]], deliver: dict, connection: object, more: dict, expected: str
) -> None:
    [found] = told(deliver, connection, **more)
    assert (found.level, found.about) == ("stops", "it: target")
    assert expected in found.sentence
    assert "secret" not in found.sentence


def test_what_can_work_is_ready_and_what_an_api_does_not_take_is_said(
    told: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    public, _ = new_key(tmp_path / "key")
    [found] = told(SFTP, KEYED | {"extra": {"host_key": public}})
    assert found.level == "ready"
    [found] = told({"to": f"file://{tmp_path}"})
    assert found.level == "ready"
    [target, by_hand] = told({"to": "api:klaviyo"}, {"password": KEY}, **KLAVIYO)
    assert target.level == "ready"
    assert "api:klaviyo does not take it_remove_20260331.csv: left" in by_hand.sentence
    assert "it_clear" not in by_hand.sentence
    asking = KLAVIYO | {"moments": ["recommendations", "check_in"]}
    assert (
        "it_remove_20260331.csv, check_in_it: left"
        in told({"to": "api:klaviyo"}, {"password": KEY}, **asking)[1].sentence
    )


def test_a_known_host_in_the_users_own_file_counts(told: Callable[..., list[Finding]], tmp_path: Path) -> None:
    public, _ = new_key(tmp_path / "key")
    (tmp_path / ".ssh").mkdir()
    known = tmp_path / ".ssh" / "known_hosts"
    known.write_text(f"another.example.com {public}\n")
    assert told(SFTP, KEYED)[0].level == "stops"
    known.write_text(f"files.example.com {public}\n")
    assert told(SFTP, KEYED)[0].level == "ready"


def test_nobody_is_to_approve_files_without_recipients(told: Callable[..., list[Finding]], tmp_path: Path) -> None:
    [_, found] = told({"to": f"file://{tmp_path}", "approve": True})
    assert "approve" in found.sentence


def test_a_target_is_opened_only_when_asked(told: Callable[..., list[Finding]]) -> None:
    with running(Klaviyo()) as server:
        connection = {"password": KEY, "host": server.host}
        assert told({"to": "api:klaviyo"}, connection, **KLAVIYO)[0].level == "ready"
        assert server.requests == []
        found = told({"to": "api:klaviyo"}, connection, reach=True, **KLAVIYO)[0]
        assert (found.level, "takes the key" in found.sentence) == ("ready", True)
        assert {method for method, _ in server.requests} == {"GET"}
        found = told({"to": "api:klaviyo"}, connection | {"password": "another"}, reach=True, **KLAVIYO)[0]
        assert found.level == "stops"
    with running(Braze()) as server:
        connection = {"password": KEY, "host": server.host}
        found = told({"to": "api:braze"}, connection, reach=True, **BRAZE)[0]
        assert (found.level, "it answers" in found.sentence) == ("ready", True)
    found = told({"to": "api:braze"}, connection, reach=True, **BRAZE)[0]
    assert (found.level, "no answer" in found.sentence) == ("stops", True)


def test_a_folder_is_listed_and_left_as_it_is(told: Callable[..., list[Finding]], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "theirs.csv").write_text("x")
    [found] = told({"to": f"file://{folder}"}, reach=True)
    assert "opened, 1 files there" in found.sentence
    assert [path.name for path in folder.iterdir()] == ["theirs.csv"]


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@with_sshd
def test_a_server_is_opened_its_key_compared_and_its_folder_listed(
    told: Callable[..., list[Finding]], sftp: SftpServer, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    to = {"to": f"sftp://127.0.0.1:{sftp.port}{folder}"}
    right = json.loads(sftp.connection(host_key=sftp.host_key))
    assert told(to, right, reach=True)[0].sentence.endswith("opened, 0 files there.")
    shutil.rmtree(folder)
    assert told(to, right)[0].level == "ready"
    assert "The folder must be there" in told(to, right, reach=True)[0].sentence
    other, _ = new_key(tmp_path / "other_key")
    wrong = json.loads(sftp.connection(host_key=other))
    assert told(to, wrong)[0].level == "ready"
    assert "another host key" in told(to, wrong, reach=True)[0].sentence
    assert not folder.exists()
