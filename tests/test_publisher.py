"""The publisher: what lies under final names is whole, audited, private and made once, whatever happens on the way."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from crash_states import count_states, without
from publisher_faults import (
    CHANNEL,
    NAMES,
    YESTERDAY,
    Steps,
    every_takeover,
    night_below,
    outgoing,
    publish_once,
    stepping,
    tree,
    who_published,
)
from thorough import THOROUGH

from recsys import manifest, publisher
from recsys.errors import AlreadyPublished, CannotPublish, Fenced, NotAudited, RecsysError, Transient
from recsys.lock import Attempt, exclusive
from recsys.manifest import read_published
from recsys.night import Night
from recsys.publisher import start_attempt


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return night_below(tmp_path)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of publishes, each with a dozen syncs."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


def names(night: Night) -> list[str]:
    return sorted(path.name for path in night.audience(CHANNEL).iterdir())


def test_a_published_day_is_files_hashes_manifest_and_success(night: Night) -> None:
    done = publish_once(night, outgoing(night))
    folder = night.audience(CHANNEL)
    assert names(night) == NAMES
    assert (folder / "one.csv").read_bytes() == b'"customer_id"\n"a0"\n"a1"\n"a2"\n'
    content = (folder / "manifest.json").read_bytes()
    assert (folder / "_SUCCESS").read_text() == f"{done.manifest_sha256}\n"
    sums = "".join((folder / f"{name}.csv.sha256").read_text() for name in ("one", "two"))
    sums += f"{done.manifest_sha256}  manifest.json\n"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], input=sums, text=True, cwd=folder, check=True)
    files = json.loads(content)["files"]
    assert json.loads(content) == {
        "channel": CHANNEL,
        "run_date": "2026-03-31",
        "model_version": "als-1",
        "code_version": "0.1.0",
        "checks_passed": 9,
        "files": files,
    }
    assert files[0] == {
        "file": "one.csv",
        "rows": 3,
        "bytes": 29,
        "sha256": sums.split()[0],
        "columns": ["customer_id"],
    }
    assert done.is_new
    assert read_published(folder) == replace(done, is_new=False)


def test_files_are_0600_and_folders_0700_whatever_the_umask(night: Night) -> None:
    files = outgoing(night)
    before = os.umask(0)
    try:
        publish_once(night, files)
    finally:
        os.umask(before)
    paths = [night.published, *night.published.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}


def test_the_same_day_again_changes_nothing_and_says_so(night: Night) -> None:
    publish_once(night, outgoing(night))
    before = {path: path.stat().st_ino for path in night.audience(CHANNEL).iterdir()}
    again = publish_once(night, outgoing(night))
    assert not again.is_new
    assert {path: path.stat().st_ino for path in night.audience(CHANNEL).iterdir()} == before


def test_the_same_files_from_a_newer_version_are_the_same_day(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish_once(night, outgoing(night))
    monkeypatch.setattr(publisher, "__version__", "99.0")
    assert publish_once(night, outgoing(night)).manifest_sha256 == first.manifest_sha256


def test_a_manifest_with_fields_of_a_later_version_is_read(night: Night) -> None:
    publish_once(night, outgoing(night))
    folder = night.audience(CHANNEL)
    content = json.dumps(json.loads((folder / "manifest.json").read_text()) | {"later": 1}).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "_SUCCESS").write_text(publisher.hashlib.sha256(content).hexdigest() + "\n")
    assert not publish_once(night, outgoing(night)).is_new


def test_other_bytes_for_a_published_day_are_refused_and_named(night: Night) -> None:
    publish_once(night, outgoing(night, rows=3))
    before = tree(night.published)
    with pytest.raises(AlreadyPublished, match=r"one\.csv: published 3 rows, 29 bytes, .*, now 4 rows, 34 bytes"):
        publish_once(night, outgoing(night, rows=4))
    with pytest.raises(AlreadyPublished, match=r"two\.csv: published 3 rows, .*, now no such file"):
        publish_once(night, outgoing(night, rows=3)[:1])
    assert tree(night.published) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_published_file_that_was_changed_is_noticed_and_left_alone(night: Night, name: str, damage: str) -> None:
    publish_once(night, outgoing(night))
    path = night.audience(CHANNEL) / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b'"', b"'") + b" ")
    if name.endswith(".sha256") or (name, damage) == ("_SUCCESS", "changed"):
        return  # nothing is promised about the first; white space after a hash is no change
    if name == "_SUCCESS":
        assert read_published(path.parent) is None
        assert publish_once(night, outgoing(night)).is_new
        return
    with pytest.raises(AlreadyPublished, match="Restore this folder"):
        publish_once(night, outgoing(night))
    with pytest.raises(AlreadyPublished, match="Restore this folder"):
        read_published(path.parent)


def test_a_manifest_that_counts_otherwise_than_the_published_one_is_noticed(night: Night) -> None:
    publish_once(night, outgoing(night))
    path = night.audience(CHANNEL) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 3', '"rows": 4'))
    with pytest.raises(AlreadyPublished, match=r"manifest\.json is not what was published"):
        read_published(path.parent)


def test_what_a_killed_attempt_left_in_a_published_day_is_removed(night: Night) -> None:
    publish_once(night, outgoing(night))
    (night.audience(CHANNEL) / ".one.csv.1.4711.tmp").write_text("half a fi")
    assert not publish_once(night, outgoing(night)).is_new
    assert names(night) == NAMES


def test_nothing_is_published_in_a_folder_that_is_not_there(night: Night) -> None:
    assert read_published(night.audience(CHANNEL)) is None


def test_a_final_folder_that_others_can_read_is_closed(night: Night) -> None:
    night.audience(CHANNEL).mkdir(parents=True)
    night.audience(CHANNEL).chmod(0o755)
    publish_once(night, outgoing(night))
    assert night.audience(CHANNEL).stat().st_mode & 0o777 == 0o700


# -- only what was audited


def test_a_file_changed_after_the_verdict_is_refused_before_it_gets_a_name(night: Night) -> None:
    files = outgoing(night)
    path = files[1].audited.path
    path.write_bytes(path.read_bytes().replace(b"a1", b"x1"))
    with pytest.raises(NotAudited, match=r"two\.csv: its bytes changed"):
        publish_once(night, files)
    assert not (night.audience(CHANNEL) / "two.csv").exists()
    assert read_published(night.audience(CHANNEL)) is None
    assert not list(night.audience(CHANNEL).glob(".*"))


def test_a_plain_path_is_refused(night: Night) -> None:
    file, _ = outgoing(night)
    with pytest.raises(NotAudited, match="only files with the gate's verdict"):
        publish_once(night, [replace(file, audited=file.audited.path)])  # type: ignore[arg-type]
    assert not night.published.exists()


def test_a_verdict_of_another_night_is_refused(night: Night) -> None:
    yesterday = Night(night.shop, YESTERDAY)
    with pytest.raises(NotAudited, match="audited for 2026-03-30, but this is the night of 2026-03-31"):
        publish_once(night, outgoing(yesterday))
    assert not night.published.exists()


def test_no_file_at_all_is_refused(night: Night) -> None:
    with pytest.raises(NotAudited, match="nothing to publish"):
        publish_once(night, [])


@pytest.mark.parametrize("name", ["manifest.json", "_SUCCESS", ".hidden", "one.csv.sha256"])
def test_the_publishers_own_names_are_refused(night: Night, name: str) -> None:
    file, _ = outgoing(night)
    path = file.audited.path.rename(file.audited.path.with_name(name))
    with pytest.raises(CannotPublish, match="the publisher's own"):
        publish_once(night, [replace(file, audited=replace(file.audited, path=path))])


# -- symbolic links and strangers in the final folder


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_final_folder_behind_a_symbolic_link_is_refused(night: Night, tmp_path: Path, depth: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = night.audience(CHANNEL)
    link = [folder, *folder.parents][depth]
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(CannotPublish, match="symbolic link"):
        publish_once(night, outgoing(night))
    assert not list(elsewhere.iterdir())


def test_a_symbolic_link_under_a_final_name_is_replaced_and_not_followed(night: Night, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    night.audience(CHANNEL).mkdir(parents=True)
    (night.audience(CHANNEL) / "one.csv").symlink_to(victim)
    publish_once(night, outgoing(night))
    assert victim.read_text() == "mine"
    assert not (night.audience(CHANNEL) / "one.csv").is_symlink()


def test_a_file_that_somebody_laid_where_ours_is_written_is_not_written_to(night: Night, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")

    def lay(name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "open" and args[1] & os.O_CREAT:
            (night.audience(CHANNEL) / args[0]).hardlink_to(victim)
        return real(*args, **kwargs)

    with stepping(Steps(1, lay, lasts=True), publisher), pytest.raises(Transient, match="File exists"):
        publish_once(night, outgoing(night))
    assert victim.read_text() == "mine"


def test_a_finished_file_that_is_a_symbolic_link_is_refused(night: Night, tmp_path: Path) -> None:
    files = outgoing(night)
    path = files[0].audited.path
    path.rename(tmp_path / "moved.csv")
    path.symlink_to(tmp_path / "moved.csv")
    with pytest.raises(CannotPublish, match="symbolic link"):
        publish_once(night, files)


def test_a_folder_inside_the_final_folder_is_refused(night: Night) -> None:
    (night.audience(CHANNEL) / "strange").mkdir(parents=True)
    with pytest.raises(CannotPublish, match="not what it should be"):
        publish_once(night, outgoing(night))


# -- crashes


def test_whatever_step_is_killed_or_fails_the_day_is_whole_or_not_there(memory: Path) -> None:
    """Every fifth step; every single one where tests are thorough."""
    script = Path(__file__).with_name("publisher_faults.py")
    every = 1 if THOROUGH else 5
    done = subprocess.run([sys.executable, script, memory, str(every)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    print(
        f"{found['steps']} steps; trials, each followed by the same fault again and a clean attempt: {found['trials']}"
    )
    assert found["wrong"] == []
    assert found["steps"] >= 60
    everywhere = ("killed", "disk full once", "disk full from then on", "i/o error once", "i/o errors from then on")
    assert {found["trials"][name] for name in everywhere} == {len(range(0, found["steps"], every))}


@pytest.fixture
def recorded(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, int]]:
    """Publish, and count the states that a power cut could have left: the function's result."""
    monkeypatch.setattr(manifest, "_CHUNK", 16)
    night = night_below(memory)
    folder = night.audience(CHANNEL)

    def record(files: slice = slice(None), **unsynced: bool) -> dict[str, int]:
        before = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
        with stepping(Steps(), publisher) as steps:
            publish_once(night, outgoing(night)[files])
        path = folder.relative_to(night.shop.root).parts
        return count_states(without(steps.taken, **unsynced), path, before)

    return record


def test_whatever_a_power_cut_leaves_is_whole_or_not_there(recorded: Callable[..., dict[str, int]]) -> None:
    states = recorded()
    print(f"states after a power cut: {states}")
    assert states["nothing"] >= 20
    assert states["whole"] >= 1
    assert (states["partial"], states["lost"]) == (0, 0)


def test_a_power_cut_while_a_crashed_day_is_cleared_leaves_it_whole_or_not_there(
    recorded: Callable[..., dict[str, int]], memory: Path
) -> None:
    recorded()
    (night_below(memory).audience(CHANNEL) / "_SUCCESS").unlink()
    states = recorded()
    print(f"states after a power cut in the attempt after a crash: {states}")
    assert states["nothing"] >= 40
    assert (states["partial"], states["lost"]) == (0, 0)


def test_a_day_that_was_killed_at_its_last_step_is_safe_once_the_next_attempt_has_ended(memory: Path) -> None:
    night = night_below(memory)
    folder = night.audience(CHANNEL)
    with stepping(Steps(), publisher) as steps:
        publish_once(night, outgoing(night))
    last_rename = max(place for place, step in enumerate(steps.taken) if step[0] == "rename")
    with stepping(Steps(), publisher) as again:
        assert not publish_once(night, outgoing(night)).is_new
    both = [*steps.taken[: last_rename + 1], *again.taken]
    states = count_states(both, folder.relative_to(night.shop.root).parts)
    assert (states["partial"], states["lost"]) == (0, 0)


def test_the_model_of_power_cuts_sees_what_syncing_is_for(
    recorded: Callable[..., dict[str, int]], memory: Path
) -> None:
    one = slice(1)
    assert recorded(one, file_syncs=True)["partial"] > 0
    shutil.rmtree(night_below(memory).published)
    states = recorded(one, folder_syncs=True)
    assert states["partial"] > 0
    assert states["lost"] > 0


# -- two attempts at once


def test_a_second_attempt_at_any_step_fences_the_first(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_CHUNK", 16)
    ends = every_takeover(memory)
    print(f"overtaken in the middle of a publish: {ends}")
    assert ends["Fenced"] >= 30
    assert set(ends) == {"Fenced", "AlreadyPublished", "published"}


def test_of_two_attempts_racing_one_publishes_and_nothing_is_mixed(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_CHUNK", 16)  # slow enough to be overtaken
    losers: list[str] = []
    for trial in range(50):
        night = night_below(memory / str(trial))
        files = {who: outgoing(night, rows=500, who=who) for who in "ab"}
        late = trial / 10_000
        start, ends = threading.Barrier(2), dict[str, str]()

        def race(who: str, wait: float, night=night, files=files, start=start, ends=ends) -> None:
            start.wait()
            time.sleep(wait)
            try:
                publish_once(night, files[who])
                ends[who] = "published"
            except RecsysError as error:
                ends[who] = type(error).__name__

        runners = [threading.Thread(target=race, args=("a", 0.0)), threading.Thread(target=race, args=("b", late))]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
        winner = who_published(night)
        assert ends.pop(winner) == "published"
        losers += ends.values()
    print(f"50 races, how the loser ended: { {end: losers.count(end) for end in set(losers)} }")
    assert len(losers) == 50
    assert set(losers) <= {"Fenced", "AlreadyPublished"}


def test_an_attempt_that_was_overtaken_publishes_nothing(night: Night) -> None:
    old = start_attempt(night, CHANNEL)
    new = start_attempt(night, CHANNEL)
    with pytest.raises(Fenced, match="attempt 1 stopped before making a final name, because attempt 2"):
        publish_once(night, outgoing(night), old)
    assert not list(night.audience(CHANNEL).iterdir())
    assert publish_once(night, outgoing(night), new).is_new


def test_attempts_at_other_channels_and_nights_do_not_fence(night: Night) -> None:
    attempt = start_attempt(night, CHANNEL)
    start_attempt(night, "crm_file")
    start_attempt(Night(night.shop, YESTERDAY), CHANNEL)
    assert publish_once(night, outgoing(night), attempt).is_new


def test_an_attempt_file_that_is_no_number_is_refused(night: Night) -> None:
    attempt = start_attempt(night, CHANNEL)
    attempt.path.write_text("not a number")
    with pytest.raises(Fenced, match="Remove this file"):
        publish_once(night, outgoing(night), attempt)
    with pytest.raises(Fenced, match="Remove this file"):
        start_attempt(night, CHANNEL)


# -- the lock on the data root

HOLD = """
import sys, time
from pathlib import Path
from recsys.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_names_the_process_that_holds_it_and_ends_with_that_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Transient, match=f"held by process {holder.pid} for more than 0.1 seconds"):
            exclusive(tmp_path, wait_seconds=0.1).__enter__()
        holder.kill()
        holder.wait()
    with exclusive(tmp_path, wait_seconds=0.1):
        pass


def test_a_thread_may_enter_again_and_another_may_not(tmp_path: Path) -> None:
    ends: list[str] = []

    def other() -> None:
        try:
            with exclusive(tmp_path, wait_seconds=0.05):
                ends.append("entered")
        except Transient as error:
            ends.append(str(error))

    def run_other() -> str:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return ends[-1]

    with exclusive(tmp_path):
        with exclusive(tmp_path):
            assert f"held by process {os.getpid()}" in run_other()
        assert f"held by process {os.getpid()}" in run_other()
    assert run_other() == "entered"
    assert (tmp_path / "lock").read_bytes() == b""
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    entered: list[int] = []

    def add(number: int) -> None:
        with exclusive(tmp_path):
            entered.append(number)
            time.sleep(0.02)
            entered.append(number)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 6
    assert entered[::2] == entered[1::2]


def test_attempts_are_numbered_without_gaps(tmp_path: Path) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.append(Attempt.start(tmp_path / "a.attempt").number)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [1, 2, 3, 4]
