"""Kim is erased: afterwards no byte of hers is left, nobody contacts her again, and every night goes on."""

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import erasure_shop
import polars as pl
import pytest
import toy
from airflow_run import tree
from erasure_shop import CANARIES, KIM, NEXT, SHARED, deliver_next_day, left, run
from typer.testing import CliRunner

from expectations.remembered import remembered
from recsys.cli import app
from recsys.config import Shop, load_shop
from recsys.demo.shop import write_demo
from recsys.erasure import records
from recsys.erasure.erase import _remember, erase, read_request, request_in_sandbox
from recsys.errors import ConfigError, ErasureUnfinished, SuppressionKeyUnfit
from recsys.files import read_json
from recsys.ingest import stage
from recsys.manifest import read_published
from recsys.night import Night
from recsys.suppression import memory
from recsys.suppression.key import KEY_ENV, Key

SECRET = "5e" * 32
HASH = Key(bytes.fromhex(SECRET)).hash
KILLED = Path(__file__).with_name("erasure_killed.py")


@pytest.fixture(autouse=True, scope="module")
def key() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_ENV, SECRET)
        yield


class Story:
    """Kim's shop: as it was after a night that exported her, and the one in which she is erased."""

    def __init__(self, folder: Path) -> None:
        self.shop = erasure_shop.write_shop(folder / "shop")
        self.night = Night(self.shop, toy.RUN_DATE)
        run(self.night)
        self.before = folder / "before"
        shutil.copytree(self.shop.folder, self.before)
        self.told = self.history("decisions")

    def history(self, table: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.night.analysts), read_only=True) as con:
            return con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()

    def copy(self, folder: Path) -> Shop:
        shutil.copytree(self.before, folder)
        return load_shop(folder / "shop.yaml")


@pytest.fixture(scope="module")
def story(dbt_if_thorough: None, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("kim"))


def statuses(night: Night) -> dict[str, str]:
    rows = pl.read_parquet(night.decisions / "fct_decisions.parquet").filter(pl.col("channel") == "email_file")
    return dict(rows.select("customer_id", "status").rows())


def test_before_she_is_everywhere(story: Story) -> None:
    assert statuses(story.night)[KIM] == "exported"
    assert set(left(story.shop.root, *CANARIES)) == set(CANARIES)
    holders = " ".join(left(story.shop.root, "zq7391")["zq7391"])
    for place in ("landing/", "landed/", "raw/", "warehouse", "features/", "model/", "decisions/", "files/", "ledger/"):
        assert place in holders, place
    assert "analysts.duckdb" in holders
    assert "audiences/crm_file" in holders


def test_afterwards_no_byte_holds_her(story: Story) -> None:
    done = erase(story.shop, [KIM], date(2026, 4, 1))
    assert left(story.shop.root, *CANARIES) == {}
    assert (done.customers, done.unknown, done.night) == (1, (), toy.RUN_DATE)
    assert done.channels == ("crm_file", "email_file")
    assert (done.counts["nights"], done.counts["audiences"], done.counts["audience_rows"]) == (1, 2, 2)
    assert [path for path in story.shop.root.rglob("*") if path.stat().st_mode & 0o077] == []


def test_what_others_have_is_still_there(story: Story) -> None:
    """Max has the address that she once gave too; the note about her in his row is gone, and nothing else of his."""
    landed = pl.concat(
        pl.read_parquet(path)
        for path in (story.shop.root / "landed" / "customers").glob("*.parquet")
        if ".bad." not in path.name
    )
    assert landed.filter(pl.col("customer_id") == "max")["email"].to_list() == [SHARED]
    assert set(landed["customer_id"]) == {"ann", "ben", "cat", "dan", "eve", "max"}
    landing = [path.read_bytes() for path in (story.shop.root / "landing").iterdir()]
    assert sum(b"max," + SHARED.encode() in content for content in landing) == 1


def test_the_published_files_are_whole_and_say_that_rows_are_gone(story: Story) -> None:
    for channel, lost in (("email_file", 1), ("crm_file", 1), ("catalogue", 0)):
        folder = story.night.audience(channel)
        published = read_published(folder)
        assert published is not None
        assert [(entry.on, entry.rows) for entry in published.manifest.redacted or ()] == [(date(2026, 4, 1), lost)]
        for file in published.manifest.files:
            assert (folder / f"{file.file}.sha256").read_text() == f"{file.sha256}  {file.file}\n"
            assert pl.read_csv(folder / file.file, infer_schema=False).height == file.rows
        assert not [path.name for path in folder.parent.iterdir() if path.name.startswith(".")]
        assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.iterdir()])


def test_the_report_names_her_by_hash_and_everything_she_was_in(story: Story) -> None:
    [path] = records.folder_of(story.shop.root).glob("2026-04-01-*.json")
    report = read_json(path)
    assert report["persons"] == [
        {
            "customer": HASH(KIM),
            "was_known": True,
            "received": [
                {"channel": "crm_file", "file": "crm_file_20260331.csv", "run_date": "2026-03-31"},
                {"channel": "email_file", "file": "email_file_20260331.csv", "run_date": "2026-03-31"},
            ],
        }
    ]
    [line] = (path.parent / records.LOG).read_text().splitlines()
    assert json.loads(line).items() >= {"date": "2026-04-01", "persons": 1, "not_known": 0, "nights": 1}.items()


def test_erasing_again_changes_nothing(story: Story) -> None:
    before = tree(story.shop.root)
    erase(story.shop, [KIM], date(2026, 4, 1))
    assert {name for name, digest in tree(story.shop.root).items() if before.get(name) != digest} <= {
        "published/analysts.duckdb"
    }


def test_the_history_lost_her_rows_and_no_others(story: Story) -> None:
    assert story.history("decisions") == [row for row in story.told if KIM not in row]
    [night] = story.history("nights")
    assert night[4] == 6
    files = {(row[1], row[2]): row[5] for row in story.history("deliveries")}
    for channel in ("email_file", "crm_file"):
        published = read_published(story.night.audience(channel))
        assert published is not None
        assert files[channel, published.manifest.files[0].file] == published.manifest.files[0].sha256
    with duckdb.connect(str(story.night.analysts), read_only=True) as con:
        comments = con.execute(
            "SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL AND NOT internal"
        ).fetchone()
        hashes = con.execute("SELECT DISTINCT sha256 FROM source_files").fetchall()
    assert comments == (0,)
    assert {row[0] for row in hashes} == {path.name for path in (story.shop.root / "landing").iterdir()}


@pytest.mark.thorough
def test_her_night_is_made_again_without_her_and_publishes_nothing(story: Story) -> None:
    published = tree(story.night.published / "audiences") | tree(story.night.ledger)
    run(story.night)
    assert set(statuses(story.night)) == {"ann", "ben", "cat", "dan", "eve", "max"}
    assert tree(story.night.published / "audiences") | tree(story.night.ledger) == published
    said = read_json(story.night.stages / "export.email_file.json")["counts"]["published"]
    assert said == "before; rows were erased on 2026-04-01, so nothing was published again"
    assert story.history("decisions") == [row for row in story.told if KIM not in row]
    assert left(story.shop.root, *CANARIES) == {}


@pytest.mark.thorough
def test_the_next_night_keeps_her_out_and_whoever_has_her_address_is_not_contacted(story: Story) -> None:
    """Her rows are delivered again; a newcomer registers with her address, and Max still has the one they shared."""
    deliver_next_day(story.shop.folder)
    night = Night(story.shop, NEXT)
    run(night)
    assert statuses(night) == {
        "ann": "exported",
        "ben": "exported",
        "cat": "exported",
        "dan": "suppressed",
        "eve": "exported",
        "max": "erased",
        "new-1": "erased",
    }
    assert [path for path in story.shop.root.rglob("*") if path.stat().st_mode & 0o077] == []
    found = left(story.shop.root, *CANARIES)
    assert set(found) == {"kim.new@canary.example"}  # the newcomer's now
    assert pl.read_parquet(night.raw / "customers.parquet").filter(pl.col("customer_id") == KIM).is_empty()
    lists = pl.read_parquet(night.recommendations).filter(pl.col("customer_id") == "max")
    assert set(lists["source"]) == {"popular"}
    reasons = pl.read_parquet(night.decisions / "fct_decisions.parquet").filter(pl.col("status") == "erased")["reason"]
    assert set(reasons) == {"Asked to be erased"}
    told = CliRunner().invoke(app, ["why", str(story.shop.path), "max"], terminal_width=200)
    assert "they asked to be erased (remembered from an earlier night or an erasure)" in told.stdout


@pytest.fixture(scope="module")
def steps(story: Story, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, str]]:
    """How many steps an erasure takes, and what it comes to."""
    shop = story.copy(tmp_path_factory.mktemp("whole") / "shop")
    done = subprocess.run([*COMMAND, shop.path, "2026-04-01", "0", KIM], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]), made(shop)


COMMAND = [sys.executable, KILLED]


def made(shop: Shop) -> dict[str, str]:
    volatile = ("published/analysts.duckdb", "published/erasures/", "lock", "nights/2026-04-01/")
    return {name: digest for name, digest in tree(shop.root).items() if not name.startswith(volatile)}


@pytest.mark.thorough
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_killed_anywhere_it_is_finished_by_the_next_one(
    story: Story, steps: tuple[int, dict[str, str]], share: float, tmp_path: Path
) -> None:
    shop = story.copy(tmp_path / "shop")
    total, expected = steps
    step = max(1, round(total * share))
    done = subprocess.run([*COMMAND, shop.path, "2026-04-01", str(step), KIM], capture_output=True, check=False)
    assert done.returncode == -9
    begun = list(records.folder_of(shop.root).glob(f"*{records.UNFINISHED}"))
    if begun:
        with pytest.raises(ErasureUnfinished, match="Run `recsys erase` again"):
            run(Night(shop, NEXT), "ingest")
    erase(shop, [KIM], date(2026, 4, 1))
    assert made(shop) == expected
    assert left(shop.root, *CANARIES) == {}
    [path] = records.folder_of(shop.root).glob("2026-04-01-*.json")
    assert len(read_json(path)["persons"][0]["received"]) == 2


@pytest.mark.thorough
def test_an_erasure_that_was_interrupted_is_finished_by_one_of_somebody_else(story: Story, tmp_path: Path) -> None:
    shop = story.copy(tmp_path / "shop")
    subprocess.run([*COMMAND, shop.path, "2026-04-01", "40", KIM], capture_output=True, check=False)
    erase(shop, ["ann"], date(2026, 4, 1))
    assert left(shop.root, *CANARIES) == {}
    holders = left(shop.root, "ann@example.com").get("ann@example.com", [])
    assert [name for name in holders if not name.startswith("dbt/")] == []  # where unit tests speak of another Ann
    assert not list(records.folder_of(shop.root).glob(f"*{records.UNFINISHED}"))
    assert len((records.folder_of(shop.root) / records.LOG).read_text().splitlines()) == 2


def test_an_id_that_is_not_known_is_remembered_all_the_same(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    done = erase(shop, ["ann", "nobody", " ann"], date(2026, 4, 1))
    assert (done.customers, done.unknown, done.night) == (2, (1, 2), None)
    hashes = set(pl.read_parquet(shop.root / "published" / memory.ERASED)["hash"])
    assert hashes == {HASH("ann"), HASH("nobody")}
    stage.run(Night(shop, toy.RUN_DATE))
    people = pl.read_parquet(Night(shop, toy.RUN_DATE).raw / "customers.parquet")
    assert "ann" not in people["customer_id"].to_list()
    assert erase(shop, ["ann", "nobody"], date(2026, 4, 1)).unknown == ()


@pytest.mark.parametrize("published", [True, False])
def test_whoever_has_an_erased_address_is_known_on_every_night_that_is_not_published(
    tmp_path: Path, published: bool
) -> None:
    """Also on nights that are late, and whatever date the erasure has; not when a published night is made again."""
    shop = toy.write_shop(tmp_path)
    newest, late = Night(shop, toy.RUN_DATE), Night(shop, date(2026, 3, 28))
    stage.run(newest)
    erase(shop, ["ann"], date(2026, 4, 1))
    if published:
        newest.audience("email_file").mkdir(parents=True)
        (newest.audience("email_file") / "_SUCCESS").touch()
    again = toy.frame("customers", [toy._customer("new", email="ANN@example.com")])
    inbox = shop.folder / "inbox"
    for day in (date(2026, 3, 28), NEXT):
        shutil.copytree(inbox / toy.RUN_DATE.isoformat(), inbox / day.isoformat(), dirs_exist_ok=True)
        again.select(name for name, kind in again.schema.items() if not isinstance(kind, pl.List)).write_csv(
            inbox / day.isoformat() / "customers.csv", datetime_format="%Y-%m-%d %H:%M:%S"
        )
    for night in (late, Night(shop, NEXT)):
        stage.run(night)
        assert pl.read_parquet(night.raw / "remembered_suppressions.parquet")["reason"].to_list() == ["erased"]
        assert remembered(night).select("customer_id", "reason").unique().rows() == [("new", "erased")]


def test_an_erasure_after_publication_leaves_the_published_night_as_it_was(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    key = memory.key_of(shop.root / "published")
    assert key is not None
    night = Night(shop, toy.RUN_DATE)
    assert memory.first_unpublished(night.published) == date.min
    night.audience("email_file").mkdir(parents=True)
    (night.audience("email_file") / "_SUCCESS").touch()
    assert memory.first_unpublished(night.published) == NEXT
    hashes = pl.DataFrame({"person": ["p"], "kind": ["email"], "hash": [HASH("ann@example.com")]})
    _remember(shop.root, key, hashes, NEXT)
    assert pl.read_parquet(night.published / memory.MEMORY)["since"].unique().to_list() == [NEXT]
    toy.write_raw(night)
    assert pl.read_parquet(night.raw / "remembered_suppressions.parquet").is_empty()
    assert remembered(night).is_empty()


def test_a_date_that_no_night_can_have_is_refused(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    stage.run(Night(shop, toy.RUN_DATE))
    with pytest.raises(
        ConfigError, match=r"date: 2027-01-01 is later than the day after the newest night \(2026-03-31\)"
    ):
        erase(shop, ["ann"], date(2027, 1, 1))
    assert not (shop.root / "published").exists()


@pytest.mark.thorough
def test_every_format_of_the_demo_shop_is_cleaned(tmp_path: Path) -> None:
    write_demo(
        tmp_path / "data" / "demo",
        customers=40,
        products=120,
        seed=7,
        through=date(2026, 8, 31),
        progress=lambda _: None,
    )
    (tmp_path / "examples" / "demo").mkdir(parents=True)
    path = tmp_path / "examples" / "demo" / "shop.yaml"
    path.write_text((Path(__file__).parents[1] / "examples" / "demo" / "shop.yaml").read_text())
    shop = load_shop(path)
    night = Night(shop, date(2026, 8, 31))
    stage.run(night)
    known = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "email"])
    others = known.group_by("email").len().filter(pl.col("len") == 1)
    alone = known.join(others, on="email").select("customer_id", "email").drop_nulls().sort("customer_id")
    who, mail = alone.row(0)
    lines = pl.read_parquet(night.raw / "order_lines.parquet")
    orders = lines.filter(pl.col("customer_id") == who)["order_id"].unique().to_list()
    assert {who, mail, *orders} <= set(left(shop.root, who, mail, *orders))
    erase(shop, [who], date(2026, 9, 1))
    assert left(shop.root, who, mail, *orders) == {}
    stage.run(night)
    assert left(shop.root, who, mail, *orders) == {}
    rest = pl.read_parquet(night.raw / "order_lines.parquet")
    assert rest.rows() == lines.filter(~pl.col("order_id").is_in(orders)).rows()


def test_without_the_key_nobody_is_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = toy.write_shop(tmp_path)
    monkeypatch.delenv(KEY_ENV)
    with pytest.raises(SuppressionKeyUnfit, match=f"Erasing needs {KEY_ENV}"):
        erase(shop, ["ann"], date(2026, 4, 1))


@pytest.mark.parametrize("customers", [[], [" "], ["a\nb"], ["x" * 256], ["ok", "tab\tin"]])
def test_a_request_that_names_nobody_is_refused_without_quoting_it(tmp_path: Path, customers: list[str]) -> None:
    with pytest.raises(ConfigError, match="customers:") as refused:
        erase(toy.write_shop(tmp_path), customers, date(2026, 4, 1))
    assert not any(customer in str(refused.value) for customer in customers if len(customer) > 3)


def test_requests_come_from_plain_files_inside_the_sandbox(tmp_path: Path) -> None:
    shop = erasure_shop.write_shop(tmp_path / "shop")
    good = shop.folder / "inbox" / "erase.txt"
    good.write_text("\ufeffann\n\nben\r\n")
    assert read_request(request_in_sandbox(shop, "inbox/erase.txt")) == ["ann", "ben"]
    (tmp_path / "outside.txt").write_text("ann\n")
    (shop.folder / "inbox" / "link.txt").symlink_to(tmp_path / "outside.txt")
    for name in ("../outside.txt", "inbox/link.txt", "inbox", "inbox/none.txt", str(tmp_path / "outside.txt"), "a\0b"):
        with pytest.raises(ConfigError, match="no file inside"):
            request_in_sandbox(shop, name)


def test_the_command_says_who_is_not_known_and_ends_with_1_when_nobody_is(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path)
    stage.run(Night(shop, toy.RUN_DATE))
    asked = tmp_path / "asked.txt"
    asked.write_text("ben\nnobody\n")
    done = CliRunner().invoke(app, ["erase", str(shop.path), "--file", str(asked), "--date", "2026-04-01"])
    assert (done.exit_code, "customer 2 of 2: not known" in done.stdout) == (0, True), done.output
    assert "ben" not in done.stdout.replace(str(tmp_path), "")
    *_, channels, report = done.stdout.splitlines()
    assert channels == "channels whose published files had them: none"
    assert report.startswith("report: ")
    assert report.endswith(".json")
    assert "{" not in done.stdout
    done = CliRunner().invoke(app, ["erase", str(shop.path), "stranger", "--date", "2026-04-01"])
    assert (done.exit_code, "customer 1 of 1: not known" in done.stdout) == (1, True), done.output
