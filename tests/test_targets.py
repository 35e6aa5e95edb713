"""Targets that are real servers: OpenSSH's SFTP and an S3 API, both on loopback."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from delivery_faults import DELIVERED, MARKER, Inbox, every_kill, night_with_target, outcomes
from outside_servers import SSHD, SftpServer, new_key, s3_server, sftp_server
from publisher_faults import CHANNEL
from thorough import THOROUGH

from recsys.delivery.credentials import Connection, credentials, variable_of
from recsys.delivery.journal import Journal
from recsys.delivery.redeliver import redeliver
from recsys.delivery.stage import run
from recsys.delivery.targets import ObjectStore, Target, open_target
from recsys.errors import CannotDeliver, ConfigError, DeliveryInDoubt, RecsysError, Transient
from recsys.night import Night

with_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd here; Debian: apt-get install openssh-server")
EVERY = 1 if THOROUGH else 5
SECRET = "s3cr3t-and-long"


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def sftp_night(tmp_path: Path, inbox: Inbox, sftp: SftpServer, monkeypatch: pytest.MonkeyPatch) -> Night:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable_of("files"), sftp.connection(host_key=sftp.host_key))
    return night_with_target(tmp_path / "shop", f"sftp://127.0.0.1:{sftp.port}{inbox.folder}", "files")


@with_sshd
def test_files_arrive_over_sftp_and_their_hashes_are_read_back(sftp_night: Night, inbox: Inbox) -> None:
    assert run(sftp_night, CHANNEL)["acknowledged"] == 3
    assert sorted(inbox.lying()) == sorted(DELIVERED)
    assert sorted(path.name for path in inbox.folder.iterdir()) == inbox.lying()
    published = (sftp_night.audience(CHANNEL) / "one.csv").read_bytes()
    assert (inbox.folder / "one.csv").read_bytes() == published
    entry = Journal.open(sftp_night, CHANNEL).entry("one.csv")
    assert entry.receipt == f"sha256 {entry.sha256}"
    assert "@" not in entry.target


@with_sshd
@pytest.mark.parametrize("written", ["host_key", "known_hosts", "file"])
def test_a_server_is_known_by_its_key(
    sftp_night: Night, sftp: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    line = f"[127.0.0.1]:{sftp.port} {sftp.host_key}"
    extra = {"host_key": {"host_key": sftp.host_key}, "known_hosts": {"known_hosts": f"# known\n{line}\n"}, "file": {}}
    if written == "file":
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "known_hosts").write_text(f"{line}\n")
    monkeypatch.setenv(variable_of("files"), sftp.connection(**extra[written]))
    assert run(sftp_night, CHANNEL)["acknowledged"] == 3


@with_sshd
def test_an_unknown_server_gets_nothing_and_its_fingerprint_is_shown(
    sftp_night: Night, sftp: SftpServer, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("files"), sftp.connection())
    with pytest.raises(CannotDeliver, match="its host key is not known") as caught:
        run(sftp_night, CHANNEL)
    assert sftp.fingerprint in str(caught.value)
    assert f'"{sftp.host_key}"' in str(caught.value)
    assert list(inbox.folder.iterdir()) == []
    assert outcomes(sftp_night) == {}


@with_sshd
def test_another_key_than_the_known_one_is_refused(
    sftp_night: Night, sftp: SftpServer, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, fingerprint = new_key(tmp_path / "other_key")
    monkeypatch.setenv(variable_of("files"), sftp.connection(host_key=other))
    with pytest.raises(CannotDeliver, match="another host key than the one that is known") as caught:
        run(sftp_night, CHANNEL)
    assert sftp.fingerprint in str(caught.value)
    assert fingerprint in str(caught.value)
    assert list(inbox.folder.iterdir()) == []


@with_sshd
def test_a_login_that_is_refused_is_no_reason_to_try_again(
    sftp_night: Night, sftp: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(tmp_path / "strange_key")
    content = json.loads(sftp.connection(host_key=sftp.host_key))
    content["password"] = SECRET
    content["extra"]["private_key"] = (tmp_path / "strange_key").read_text()
    monkeypatch.setenv(variable_of("files"), json.dumps(content))
    with pytest.raises(CannotDeliver, match="Mend the connection") as caught:
        run(sftp_night, CHANNEL)
    assert SECRET not in str(caught.value)


@with_sshd
def test_a_folder_that_is_missing_over_there_is_named(sftp_night: Night, inbox: Inbox) -> None:
    inbox.folder.rmdir()
    with pytest.raises(CannotDeliver, match="The folder must be there"):
        run(sftp_night, CHANNEL)
    inbox.folder.mkdir()
    assert redeliver(sftp_night, CHANNEL)["acknowledged"] == 3


def test_a_server_that_is_away_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    night = night_with_target(tmp_path / "shop", "sftp://127.0.0.1:1/inbox")
    with pytest.raises(Transient, match="connecting"):
        run(night, CHANNEL)


@pytest.mark.parametrize("extra", [{"host_key": "no key"}, {"private_key": SECRET}])
def test_keys_that_cannot_be_read_are_refused_and_not_quoted(extra: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="in its extra") as caught:
        open_target("sftp://127.0.0.1:1/inbox", Connection("files", extra=extra))
    assert SECRET not in str(caught.value)


def test_credentials_of_one_host_do_not_go_to_another() -> None:
    with pytest.raises(ConfigError, match=r"is for another host than files\.example\.com"):
        open_target("sftp://files.example.com/inbox", Connection("files", host="sftp.example.org"))


@with_sshd
@pytest.mark.forks
def test_killed_over_sftp_nothing_arrives_twice(
    tmp_path: Path, sftp: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fifth step; every single one with RECSYS_THOROUGH."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable_of("files"), sftp.connection(host_key=sftp.host_key))

    def make(name: str) -> tuple[Night, Inbox]:
        inbox = Inbox(tmp_path / name / "inbox")
        to = f"sftp://127.0.0.1:{sftp.port}{inbox.folder}"
        return night_with_target(tmp_path / name / "shop", to, "files"), inbox

    def half(target: Target, source: Path, name: str) -> None:
        content = source.read_bytes()
        with target.fs.open(f"{target.folder}/{name}", "wb") as stream:
            stream.write(content[: len(content) // 2])

    found = every_kill(make, half, every=EVERY)
    assert found.wrong == []
    assert found.trials == len(found.steps[::EVERY]) * 6


class Bucket(Inbox):
    """The company's side of a bucket."""

    def __init__(self, address: str, name: str) -> None:
        self.taken = []
        self.bucket = boto3.resource(
            "s3", endpoint_url=address, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key=SECRET
        ).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def lying(self) -> list[str]:
        return sorted(found.key.removeprefix("in/") for found in self.bucket.objects.all())

    def take(self) -> None:
        for name in self.lying():
            self.taken.append(name)
            self.bucket.Object(f"in/{name}").delete()


def s3_connection(address: str) -> str:
    extra = {"endpoint_url": address, "region_name": "eu-central-1"}
    return json.dumps({"login": "a", "password": SECRET, "extra": extra})


@pytest.fixture
def bucket(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv(variable_of("bucket"), s3_connection(s3))
    return Bucket(s3, tmp_path.name.replace("_", "-").lower())


@pytest.fixture
def s3_night(tmp_path: Path, bucket: Bucket) -> Night:
    return night_with_target(tmp_path / "shop", f"s3://{bucket.bucket.name}/in", "bucket")


def test_objects_appear_whole_and_no_other_object_ever_does(s3_night: Night, bucket: Bucket) -> None:
    assert run(s3_night, CHANNEL)["acknowledged"] == 3
    assert bucket.lying() == sorted(DELIVERED)
    body = bucket.bucket.Object("in/one.csv").get()["Body"].read()
    assert body == (s3_night.audience(CHANNEL) / "one.csv").read_bytes()
    entry = Journal.open(s3_night, CHANNEL).entry("one.csv")
    assert entry.receipt.startswith(f"sha256 {entry.sha256} etag")
    versions = [found.key for found in bucket.bucket.object_versions.all()]
    assert len(versions) == 3


def test_an_object_is_never_replaced(s3_night: Night, bucket: Bucket) -> None:
    bucket.bucket.Object("in/one.csv").put(Body=b"somebody else's")
    with pytest.raises(CannotDeliver, match=r"one\.csv \(another file has its name"):
        run(s3_night, CHANNEL)
    assert bucket.bucket.Object("in/one.csv").get()["Body"].read() == b"somebody else's"
    assert outcomes(s3_night) == {"one.csv": "failed", "two.csv": "acknowledged", MARKER: "pending"}


def test_an_object_that_came_in_between_is_not_replaced_either(
    s3_night: Night, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 itself refuses: the name was free when it was looked at."""
    real = ObjectStore.upload

    def late(self: ObjectStore, source: Path, name: str) -> None:
        if name == "one.csv":
            bucket.bucket.Object("in/one.csv").put(Body=b"somebody else's")
        real(self, source, name)

    monkeypatch.setattr(ObjectStore, "upload", late)
    with pytest.raises(RecsysError):
        run(s3_night, CHANNEL)
    assert bucket.bucket.Object("in/one.csv").get()["Body"].read() == b"somebody else's"


def test_a_bucket_that_is_not_there_fails_without_doubt(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = night_with_target(tmp_path / "elsewhere", "s3://no-such-bucket/in", "bucket")
    with pytest.raises(CannotDeliver) as caught:
        run(night, CHANNEL)
    assert SECRET not in str(caught.value)
    assert "in_doubt" not in outcomes(night).values()


def test_a_bucket_is_looked_at_and_nothing_is_put_there(bucket: Bucket) -> None:
    found = credentials("bucket")
    with closing(open_target(f"s3://{bucket.bucket.name}/in", found)) as target:
        assert target.look() == 0
        bucket.bucket.Object("in/theirs.csv").put(Body=b"x")
        assert target.look() == 1
    with closing(open_target("s3://no-such-bucket/in", found)) as target, pytest.raises(CannotDeliver) as caught:
        target.look()
    assert SECRET not in str(caught.value)
    assert bucket.lying() == ["theirs.csv"]


def test_a_store_that_is_away_after_the_point_of_no_return_leaves_doubt(
    s3_night: Night, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while a file is on its way: it may or may not have arrived, and is asked for."""

    def broken(self: ObjectStore, source: Path, name: str) -> None:
        with self._errors("uploading"):
            raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(ObjectStore, "upload", broken)
    with pytest.raises(Transient, match="reset by peer"):
        run(s3_night, CHANNEL)
    monkeypatch.undo()
    monkeypatch.setenv(variable_of("bucket"), s3_connection(bucket.bucket.meta.client.meta.endpoint_url))
    with pytest.raises(DeliveryInDoubt):
        run(s3_night, CHANNEL)
    assert bucket.lying() == []
    assert redeliver(s3_night, CHANNEL, "lost", ["one.csv", "two.csv"])["acknowledged"] == 3
    assert bucket.lying() == sorted(DELIVERED)


@pytest.mark.forks
def test_killed_over_s3_nothing_arrives_twice(tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fifth step; every single one with RECSYS_THOROUGH."""
    monkeypatch.setenv(variable_of("bucket"), s3_connection(s3))

    def make(name: str) -> tuple[Night, Bucket]:
        bucket = Bucket(s3, f"kill-{name.lower()}")
        return night_with_target(tmp_path / name / "shop", f"s3://{bucket.bucket.name}/in", "bucket"), bucket

    found = every_kill(make, None, ("before", "after"), every=EVERY, renames=False)
    assert found.wrong == []
    assert found.in_doubt > 0
