"""Three consecutive nights of a real shop through the real DAG, on the raw files as the shop exported them."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from airflow_run import REPOSITORY, night_tree, run_dag, tree

from recsys.config import load_shop
from recsys.ingest import stage
from recsys.night import Night

DATA = REPOSITORY.parent / "shared" / "data" / "online_retail" / "by-day"
EXAMPLE = REPOSITORY / "examples" / "online_retail"
NIGHTS = [date(2011, 11, 7), date(2011, 11, 8), date(2011, 11, 9)]

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"skipped, data not here: {DATA}"),
    pytest.mark.thorough,
]


def shop_file(folder: Path, until: date | None = None) -> Path:
    """The example's shop file with its folders replaced; the daily files up to `until`, copied as they are."""
    inbox = folder / "by-day"
    inbox.mkdir(parents=True, exist_ok=True)
    for path in DATA.glob("*.csv"):
        if until is None or date.fromisoformat(path.stem) <= until:
            shutil.copyfile(path, inbox / path.name)
    subprocess.run([sys.executable, EXAMPLE / "make_customers.py", DATA, folder], check=True, capture_output=True)
    text = (EXAMPLE / "shop.yaml").read_text(encoding="utf-8")
    text = text.replace("../../../shared/data/online_retail/by-day", "by-day").replace("../../data/online_retail/", "")
    text = text.replace("  - ../../../shared/data/online_retail\n  - ../../data/online_retail\n", "  - .\n")
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class ThreeNights:
    home: Path
    shop_file: Path

    def night(self, run_date: date) -> Night:
        return Night(load_shop(self.shop_file), run_date)

    def run(self, run_date: date) -> None:
        done = run_dag(run_date, self.home, self.shop_file)
        assert done.returncode == 0, done.stdout[-6000:]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> ThreeNights:
    """Three nights, each run when its own file, and no later one, had arrived."""
    folder = tmp_path_factory.mktemp("online-retail")
    three = ThreeNights(folder / "airflow", shop_file(folder / "shop", until=NIGHTS[0]))
    for run_date in NIGHTS:
        name = f"{run_date.isoformat()}.csv"
        shutil.copyfile(DATA / name, three.shop_file.parent / "by-day" / name)
        three.run(run_date)
    return three


def inputs(night: Night) -> dict:
    return json.loads(night.inputs.read_text())["tables"]


@pytest.mark.parametrize("run_date", NIGHTS)
def test_only_lines_before_the_nights_end_were_used(nights: ThreeNights, run_date: date) -> None:
    night = nights.night(run_date)
    lines = pl.read_parquet(night.raw / "order_lines.parquet")
    newest = lines["ordered_at"].max()
    assert isinstance(newest, datetime)
    assert newest.date() == run_date
    assert newest < night.end == datetime(run_date.year, run_date.month, run_date.day + 1)


def test_the_counts_of_a_night_are_those_of_the_files(nights: ThreeNights) -> None:
    """Counted a second time, with DuckDB's own CSV reader and none of our code."""
    names = [str(path) for path in sorted(DATA.glob("*.csv")) if date.fromisoformat(path.stem) <= NIGHTS[2]]
    rows, kept, customers, bought = duckdb.execute(
        """
        with lines as (select * from read_csv($names, all_varchar = true, header = true, delim = ',', quote = '"')),
        kept as (
            select CustomerID, Quantity::int as pieces from lines
            where regexp_matches(StockCode, '^[0-9]{5}') and UnitPrice::double > 0
        )
        select (select count(*) from lines), count(*), count(distinct CustomerID),
            count(distinct CustomerID) filter (pieces > 0)
        from kept
        """,
        {"names": names},
    ).fetchall()[0]
    night = nights.night(NIGHTS[2])
    files = inputs(night)["order_lines"]["files"]
    assert sum(file["rows"] + file["bad_rows"] + sum(file["skipped_rows"].values()) for file in files) == rows
    lines = pl.read_parquet(night.raw / "order_lines.parquet")
    assert lines.height == kept
    assert lines["customer_id"].drop_nulls().n_unique() == customers
    features = pl.read_parquet(night.features / "interactions.parquet").filter("is_bought")
    allowed = pl.read_parquet(night.features / "customers.parquet").filter("may_personalise")
    assert 0.75 * customers < allowed.height < 0.85 * customers
    assert features["customer_id"].n_unique() <= allowed.height
    assert features["customer_id"].n_unique() > 0.98 * allowed.height * bought / customers


def test_the_third_night_loads_only_its_own_new_file(nights: ThreeNights) -> None:
    tables = inputs(nights.night(NIGHTS[2]))
    new = [file["file"] for table in ("order_lines", "products") for file in tables[table]["files"] if file["is_new"]]
    assert new == ["by-day/2011-11-09.csv", "by-day/2011-11-09.csv"]
    assert not [
        file["file"] for table in ("customers", "consents") for file in tables[table]["files"] if file["is_new"]
    ]


def test_a_second_run_of_a_night_is_byte_identical(nights: ThreeNights) -> None:
    night = nights.night(NIGHTS[1])
    published, made = tree(night.published / "audiences"), night_tree(night.folder)
    folders = {name.rsplit("/", 1)[0] for name in published}
    exports = ("catalogue", "check_in_crm_file", "check_in_email_file", "crm_file", "email_file")
    assert folders == {f"{export}/{date}" for export in exports for date in NIGHTS}
    nights.run(NIGHTS[1])
    assert tree(night.published / "audiences") == published
    assert night_tree(night.folder) == made


def test_every_customer_is_accounted_for_and_lists_are_individual(nights: ThreeNights) -> None:
    with duckdb.connect(str(nights.night(NIGHTS[2]).analysts), read_only=True) as con:
        known, decided, exported = con.execute(
            "select (select count(*) from dim_customers), count(*), count(*) filter (status = 'exported') "
            "from decisions where run_date = '2011-11-09' and channel = 'email_file'"
        ).fetchall()[0]
        lists, different, broad = con.execute(
            "select count(*), count(distinct products) filter (may_personalise), "
            "count(distinct products) filter (not may_personalise) "
            "from (select customer_id, list(product_id order by rank) as products from recommendations "
            "where run_date = '2011-11-09' group by 1) join dim_customers using (customer_id)"
        ).fetchall()[0]
    assert known == decided == lists
    assert 0.75 * known < exported < 0.9 * known
    assert different > 0.95 * 0.75 * lists
    assert broad == 2  # the United Kingdom alone has enough buyers for a popular list of its own


def test_the_facts_of_the_whole_data_set(tmp_path: Path) -> None:
    """Every line of the year, none left out: the figures published with the data."""
    shop = load_shop(shop_file(tmp_path))
    tables = {name: source.model_copy(update={"skip": {}}) for name, source in shop.tables.items()}
    night = Night(shop.model_copy(update={"tables": tables}), date(2011, 12, 9))
    # two adjustments of bad debt have a negative price: they are the only bad rows of the year
    lenient = night.shop.model_copy(update={"ingest": night.shop.ingest.model_copy(update={"max_bad_share": 0.01})})
    stage.run(Night(lenient, night.run_date))
    read = inputs(night)["order_lines"]["files"]
    assert len(read) == 305
    assert sum(file["rows"] + file["bad_rows"] for file in read) == 541_909
    lines = pl.read_parquet(night.raw / "order_lines.parquet")
    bad = pl.read_parquet(night.raw / "quarantine.parquet").filter(pl.col("table_name") == "order_lines")
    assert bad.select("column_name", "reason").rows() == [("unit_price", "below_minimum")] * 2
    assert lines["order_id"].n_unique() + 2 == 25_900
    assert lines["customer_id"].drop_nulls().n_unique() == 4_372
    assert lines["customer_id"].null_count() + 2 == 135_080
    assert lines.filter(pl.col("order_id").str.starts_with("C")).height == 9_288
    customers = pl.read_parquet(night.raw / "customers.parquet")
    assert customers.height == 4_372
    assert customers["country"].drop_nulls().n_unique() == 35
