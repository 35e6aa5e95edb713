"""Credentials: read as Airflow writes them, from the environment alone, and shown nowhere."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publisher_faults import SHOP

from recsys.config import load_shop
from recsys.delivery.credentials import credentials, variable_of
from recsys.errors import ConfigError

SECRET = "p@ss w/ö:rd?#"  # every sign that means something in a URI


def test_a_uri_as_airflow_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "RECSYS_CONNECTION_KLAVIYO_FILES",
        "sftp://shop:p%40ss%20w%2F%C3%B6%3Ard%3F%23@files.example.com:2222/?timeout=9",
    )
    found = credentials("klaviyo-files")
    assert (found.host, found.port, found.login) == ("files.example.com", 2222, "shop")
    assert found.password.get_secret_value() == SECRET
    assert found.extra == {"timeout": "9"}


def test_nested_extras_travel_in_the_uri_or_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_CONNECTION_A", "aws://KEY:secret@/?__extra__=%7B%22tries%22%3A+%5B1%2C+2%5D%7D")
    monkeypatch.setenv("RECSYS_CONNECTION_B", json.dumps({"conn_type": "aws", "login": "KEY", "password": "secret",
                                                          "extra": json.dumps({"tries": [1, 2]})}))  # fmt: skip
    for name in ("a", "b"):
        found = credentials(name)
        assert (found.login, found.password.get_secret_value(), found.extra) == ("KEY", "secret", {"tries": [1, 2]})


def test_our_own_variable_goes_before_airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TOOL", "http://theirs")
    assert credentials("tool").host == "theirs"
    monkeypatch.setenv("RECSYS_CONNECTION_TOOL", "http://ours")
    assert credentials("tool").host == "ours"


def test_a_missing_connection_says_which_variable_to_set() -> None:
    with pytest.raises(ConfigError, match="RECSYS_CONNECTION_NO_SUCH"):
        credentials("no-such")


@pytest.mark.parametrize("wrong", ["secretword", "{secretword", '{"port": "secretword"}', "sftp://u:secretword@h:port"])
def test_what_is_no_connection_is_not_quoted(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(variable_of("tool"), wrong)
    with pytest.raises(ConfigError, match="RECSYS_CONNECTION_TOOL") as caught:
        credentials("tool")
    assert "secretword" not in str(caught.value)
    assert caught.value.__suppress_context__


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=4),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=4),
)
def test_no_secret_is_in_anything_that_is_printed(password: str, token: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable_of("tool"), json.dumps({"password": password, "extra": {"keys": [{"token": token}]}}))
        found = credentials("tool")
    assert repr(found) == str(found) == "Connection(name='tool')"
    for secret in (password, token):
        shown = found.scrubbed(f"refused: {secret} and {secret}\nagain")
        assert secret in "refused: *** and *** again" or secret not in shown


@pytest.mark.parametrize(
    "to", ["sftp://shop:hunter2@files.example.com/in", "s3://bucket/in?secret=hunter2", "sftp://hunter2@host/in"]
)
def test_credentials_in_the_shop_file_are_refused_and_not_quoted(tmp_path, to: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP.replace("kind: email_file}", f"kind: email_file, deliver: {{to: '{to}'}}}}"))
    with pytest.raises(ConfigError, match="RECSYS_CONNECTION_<NAME>") as caught:
        load_shop(path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("/srv/outgoing", "allowed: a URL such as"),
        ("klaviyo", "allowed: a URL such as"),
        ("carrier-pigeon://roof/", "carrier-pigeon is no kind of target that fsspec knows"),
        ("file://outgoing", "its absolute path"),
        ("file:///", "its absolute path"),
        ("api:fax", "there is no such API"),
        ("file://{root}/published/audiences", "lies below data_root"),
        ("file://{root}", "lies below data_root"),
    ],
)
def test_a_target_that_cannot_be_one_is_refused(tmp_path, to: str, why: str) -> None:
    path = tmp_path / "shop.yaml"
    wanted = to.format(root=tmp_path / "data")
    path.write_text(SHOP.replace("kind: email_file}", f"kind: email_file, deliver: {{to: '{wanted}'}}}}"))
    with pytest.raises(ConfigError, match=why):
        load_shop(path)
