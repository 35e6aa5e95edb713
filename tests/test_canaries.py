"""Personal data that sings: looked for wherever a night speaks, of one that goes well and of many that do not.

Every id, address, number and name of the toy shop carries a mark. What a night keeps to work with may hold it (raw
tables, features, decisions, finished files, databases); what people and other tools read may not: output, errors,
Airflow's logs and database, records of stages, the gate's verdict, dbt's folder, lists of files, the quarantine. The
audience page may name a customer by id and by nothing else.
"""

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import toy
from airflow_run import REPOSITORY, environment, run_dag

from recsys.config import load_shop
from recsys.night import Night
from recsys.tables import write_parquet

pytestmark = pytest.mark.thorough

MARK = "kanarie"
PHONE = "+4915199907"
MARKS = (MARK, PHONE.removeprefix("+49"))
NOT_EVEN_ON_THE_PAGE = (f"mail-{MARK}", f"given-{MARK}", f"family-{MARK}", MARKS[1])


def marked(table: str) -> list[dict[str, object]]:
    """The toy shop's rows of a table, with marks."""
    rows = []
    for number, row in enumerate(toy.ROWS[table]):
        changed = dict(row)
        for column in ("customer_id", "visitor_id"):
            if row.get(column):
                changed[column] = f"id-{MARK}-{row[column]}"
        if row.get("email"):
            changed["email"] = (
                str(row["email"]).lower().replace("@", f".mail-{MARK}@").replace(" at", f".mail-{MARK} at")
            )
        if table == "customers":
            changed |= {
                "phone": f"{PHONE}{number}",
                "first_name": f"Given-{MARK}",
                "last_name": f"Family-{MARK}-{number}",
            }
        rows.append(changed)
    return rows


def found_in(content: bytes, marks: tuple[str, ...] = MARKS) -> list[str]:
    return [mark for mark in marks if mark.encode() in content.lower()]


def spoken(night: Night) -> list[Path]:
    """The files below the data root that people and other tools read about the nights."""
    root = night.shop.root
    folders = [night.stages, night.verdict.parent, root / "dbt", *root.glob("landed/*")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix != ".parquet" and path.is_file()]
    return [*files, *(path for path in (night.inputs, root / "registry.json", root / "lock") if path.is_file())]


def leaks(night: Night) -> dict[str, list[str]]:
    """Files that tell what they must not, and the marks found in them."""
    found = {str(path): found_in(path.read_bytes()) for path in spoken(night)}
    if night.page.is_file():
        found[str(night.page)] = found_in(night.page.read_bytes(), NOT_EVEN_ON_THE_PAGE)
    for bad in [night.raw / "quarantine.parquet", *night.shop.root.glob("landed/*/*.bad.parquet")]:
        if bad.is_file():
            found[str(bad)] = found_in(json.dumps(pl.read_parquet(bad).to_dicts(), default=str).encode())
    return {path: marks for path, marks in found.items() if marks}


class Shop:
    """A shop full of marks and its night, green once, run by Airflow."""

    def __init__(self, folder: Path) -> None:
        rows = {table: marked(table) for table in toy.ROWS}
        self.night = Night(toy.write_shop(folder / "shop", **rows), toy.RUN_DATE)
        self.home = folder / "airflow"
        done = run_dag(self.night.run_date, self.home, self.night.shop.path)
        assert done.returncode == 0, done.stdout[-4000:]
        self.printed = done.stdout


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("marked"))


@pytest.fixture
def night(green: Shop, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A copy of the green night that a test may break; not yet published, so that it can be run again."""
    folder = tmp_path_factory.mktemp("broken") / "shop"
    shutil.copytree(green.night.shop.folder, folder)
    shutil.rmtree(folder / "data" / "published")
    return Night(load_shop(folder / "shop.yaml"), toy.RUN_DATE)


def run(night: Night, stage: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """One stage as somebody runs it by hand, with everything it prints."""
    module = ["expectations.gate"] if stage == "gate" else ["recsys.cli", "stage", stage]
    return subprocess.run(
        [sys.executable, "-m", *module, str(night.shop.path), night.run_date.isoformat(), *arguments],
        env=environment(night.shop.folder / "airflow") | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def inbox(night: Night, table: str) -> Path:
    return night.shop.folder / "inbox" / night.run_date.isoformat() / f"{table}.csv"


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def rewrite(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    write_parquet(change(pl.read_parquet(path)), path)


def a_bad_consent(night: Night) -> None:
    edit(inbox(night, "consents"), lambda text: text.replace("granted", f"yes-{MARK}", 1))


def a_bad_cell(night: Night) -> None:
    edit(inbox(night, "customers"), lambda text: text.replace(",DE,", f",mail-{MARK}@example.com,", 1))


def a_key_twice(night: Night) -> None:
    edit(inbox(night, "customers"), lambda text: text + text.splitlines()[1] + "\n")


def a_wrong_mapping(night: Night) -> None:
    edit(night.shop.path, lambda text: text.replace("birth_year: birth_year", "birth_year: cast(email as integer)"))


def an_expression_that_fails(night: Night) -> None:
    edit(night.shop.path, lambda text: text.replace("email: email", "email: error(email)", 1))


def no_header(night: Night) -> None:
    edit(inbox(night, "customers"), lambda text: text.split("\n", 1)[1])


def an_open_quote(night: Night) -> None:
    edit(inbox(night, "customers"), lambda text: text + f'"id-{MARK}-new,mail-{MARK}@example.com')


def a_wrong_encoding(night: Night) -> None:
    path = inbox(night, "customers")
    path.write_bytes(path.read_bytes() + f"id-{MARK}-ü,x\n".encode("latin-1"))


def one_cell_too_many(night: Night) -> None:
    edit(inbox(night, "customers"), lambda text: text.replace(",DE,", f",DE,mail-{MARK}@example.com,", 1))


def a_number_that_is_none(night: Night) -> None:
    path = night.raw / "customers.parquet"
    rewrite(path, lambda frame: frame.with_columns(birth_year=pl.concat_str(pl.lit(f"mail-{MARK}"), "customer_id")))


def a_customer_twice(night: Night) -> None:
    rewrite(night.raw / "customers.parquet", lambda frame: pl.concat([frame, frame]))


def a_broken_weight(night: Night) -> None:
    rewrite(night.features / "interactions.parquet", lambda frame: frame.with_columns(weight=pl.col("customer_id")))


def a_rank_twice(night: Night) -> None:
    rewrite(night.recommendations, lambda frame: pl.concat([frame, frame]))


def a_score_that_is_none(night: Night) -> None:
    rewrite(night.recommendations, lambda frame: frame.with_columns(score=pl.col("customer_id")))


def an_address_that_steers(night: Night) -> None:
    path = night.decisions / "sync_email_file__recipients.parquet"
    rewrite(path, lambda frame: frame.with_columns(email=pl.concat_str("email", pl.lit("\n"))))


def a_recipient_too_many(night: Night) -> None:
    path = night.files / "email_file" / "email_file_20260331.csv"
    edit(path, lambda text: text + text.splitlines()[-1].replace("-ben", "-cat") + "\n")


def a_table_that_is_none(night: Night) -> None:
    (night.decisions / "fct_decisions.parquet").write_bytes(f"id-{MARK}-ann,exported\n".encode())


def a_torn_file(night: Night) -> None:
    edit(night.files / "email_file" / "email_file_20260331.csv", lambda text: text[:-5])


def a_file_changed_since(night: Night) -> None:
    edit(night.files / "crm_file" / "crm_file_20260331.csv", lambda text: text + text.splitlines()[-1] + "\n")


def a_history_that_is_none(night: Night) -> None:
    night.published.mkdir(mode=0o700)
    night.analysts.write_bytes(f"id-{MARK}-ann".encode() * 2000)


BREAKS = [
    ("ingest", a_bad_consent, "TooManyBadRows"),
    ("ingest", a_bad_cell, "TooManyBadRows"),
    ("ingest", a_key_twice, "TooManyBadRows"),
    ("ingest", a_wrong_mapping, ""),
    ("ingest", an_expression_that_fails, "SourceRefused"),
    ("ingest", no_header, "SourceRefused"),
    ("ingest", an_open_quote, "SourceRefused"),
    ("ingest", a_wrong_encoding, "SourceRefused"),
    ("ingest", one_cell_too_many, ""),
    ("features", a_number_that_is_none, "FeaturesFailed"),
    ("features", a_customer_twice, "FeaturesFailed"),
    ("recommend", a_broken_weight, "a fault in the program"),
    ("decide", a_rank_twice, "FeaturesFailed"),
    ("decide", a_score_that_is_none, "FeaturesFailed"),
    ("render", an_address_that_steers, "CannotRender"),
    ("gate", a_recipient_too_many, "is red"),
    ("gate", a_table_that_is_none, "is red"),
    ("gate", a_torn_file, "is red"),
    ("export", a_file_changed_since, "NotAudited"),
    ("publish", a_history_that_is_none, "HistoryUnreadable"),
]


def test_a_night_that_goes_well_tells_nobodys_data(green: Shop) -> None:
    assert found_in(green.printed.encode()) == []
    assert leaks(green.night) == {}
    assert len(spoken(green.night)) > 20
    logs = {str(path): found_in(path.read_bytes()) for path in green.home.rglob("*") if path.is_file()}
    assert {path: marks for path, marks in logs.items() if marks} == {}
    assert (green.home / "airflow.db").stat().st_size > 0


def test_the_marks_are_in_what_the_night_works_with(green: Shop) -> None:
    """Otherwise nothing of this proves anything."""
    night = green.night
    mails = (night.audience("email_file") / "email_file_20260331.csv").read_bytes()
    assert set(found_in(mails, NOT_EVEN_ON_THE_PAGE)) == {f"mail-{MARK}", f"given-{MARK}"}
    people = json.dumps(pl.read_parquet(night.raw / "customers.parquet").to_dicts(), default=str).encode()
    assert set(found_in(people, NOT_EVEN_ON_THE_PAGE)) == set(NOT_EVEN_ON_THE_PAGE)
    assert found_in(night.page.read_bytes()) == [MARK]


def test_files_are_0600_and_folders_0700(green: Shop) -> None:
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in [green.night.shop.root, *green.night.shop.root.rglob("*")]
    }
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


@pytest.mark.parametrize(("stage", "spoil", "kind"), BREAKS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_night_that_goes_wrong_tells_nobodys_data(
    night: Night, stage: str, spoil: Callable[[Night], None], kind: str
) -> None:
    spoil(night)
    if stage == "ingest":  # as on the first day: what was read before would stand in for what cannot be read
        shutil.rmtree(night.shop.root)
    done = run(night, stage, *(["--channel", "crm_file"] if stage == "export" else []))
    assert done.returncode != 0
    assert kind in done.stdout.decode()
    assert found_in(done.stdout) == [], done.stdout.decode()
    assert leaks(night) == {}
