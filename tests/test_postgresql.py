"""Tables that come from a company's PostgreSQL database, read through ADBC from a real server."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import toy

from recsys.config import Shop
from recsys.errors import ConfigError, SourceRefused, Transient
from recsys.ingest import stage
from recsys.night import Night
from recsys.table_settings import TableSource

VARIABLE = "TEST_SHOP_DATABASE"


def _find(program: str) -> str | None:
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)
    return str(candidates[0]) if candidates else shutil.which(program)


def _drop_privileges() -> dict:
    """PostgreSQL refuses to run as root: run it as the user that Debian's package makes."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("running as root, and there is no user postgres to run the server as")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def run_sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], None]]:
    """A server on a socket of its own; its address is in the environment variable VARIABLE."""
    programs = {name: _find(name) for name in ("initdb", "postgres", "psql")}
    if not all(programs.values()):
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    as_user = _drop_privileges()
    folder = Path("/tmp") / f"recsys-postgresql-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if as_user:
        os.chown(folder, as_user["user"], as_user["group"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    data = folder / "data"
    subprocess.run(
        [programs["initdb"], "-D", data, "-U", "reader", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **as_user,
    )
    server = subprocess.Popen(
        [programs["postgres"], "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", port, "-F"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **as_user,
    )
    psql = [programs["psql"], "-h", "127.0.0.1", "-p", port, "-U", "reader", "-v", "ON_ERROR_STOP=1", "-q"]
    try:
        for _ in range(200):
            if subprocess.run([*psql, "-c", "select 1", "postgres"], capture_output=True, check=False).returncode == 0:
                break
            server.poll()
        subprocess.run([*psql, "-c", "create database shop", "postgres"], check=True)
        os.environ[VARIABLE] = f"postgresql://reader@127.0.0.1:{port}/shop"
        yield lambda sql: subprocess.run([*psql, "-c", sql, "shop"], check=True)
    finally:
        os.environ.pop(VARIABLE, None)
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shop(run_sql: Callable[[str], None], tmp_path: Path) -> Shop:
    run_sql(
        """
        drop schema public cascade; create schema public;
        create table orders (id bigint primary key, customer text, placed timestamptz not null);
        create table order_items (order_id bigint, sku text, pieces int, price numeric(10,2));
        insert into orders values (1, 'ann', '2026-03-01 11:00+01'), (2, 'ben', '2026-03-02 10:00+00'),
            (3, 'ann', '2026-04-01 00:00+00');
        insert into order_items values (1, 'green', 2, 9.90), (2, 'black', 1, 4.5), (2, 'mint', -1, 4.5),
            (3, 'saw', 1, 1);
        """
    )
    files = toy.write_shop(tmp_path)
    lines = TableSource(
        query="""
            select order_id, customer, sku, pieces, price, placed
            from orders join order_items on orders.id = order_items.order_id
            where placed < $1::timestamp at time zone 'UTC'
        """,
        database_env=VARIABLE,
        columns={
            "order_id": "order_id",
            "customer_id": "customer",
            "product_id": "sku",
            "quantity": "pieces",
            "unit_price": "price",
            "ordered_at": "placed",
        },
    )
    return files.model_copy(update={"tables": files.tables | {"order_lines": lines}})


def rows(night: Night) -> list[tuple]:
    return pl.read_parquet(night.raw / "order_lines.parquet").rows()


def test_a_query_brings_rows_with_their_own_types(shop: Shop) -> None:
    night = Night(shop, toy.RUN_DATE)
    stage.run(night)
    found = [(order, who, sku, pieces, str(price), str(at)) for order, who, _, sku, pieces, price, at in rows(night)]
    assert found == [
        ("1", "ann", "green", 2, "9.9000", "2026-03-01 10:00:00"),
        ("2", "ben", "black", 1, "4.5000", "2026-03-02 10:00:00"),
        ("2", "ben", "mint", -1, "4.5000", "2026-03-02 10:00:00"),
    ]


def test_the_same_rows_are_the_same_bytes_and_new_rows_replace_them(shop: Shop, run_sql: Callable[[str], None]) -> None:
    night = Night(shop, toy.RUN_DATE)
    first = stage.run(night)
    again = stage.run(night)
    assert (first["files"], again["files"]) == (7, 7)
    assert len(list((shop.root / "landed" / "order_lines").glob("*.json"))) == 1
    run_sql("update order_items set pieces = 5 where sku = 'green'")
    stage.run(night)
    assert [row[4] for row in rows(night)] == [5, 1, -1]


def test_the_next_night_reads_what_was_ordered_since(shop: Shop) -> None:
    stage.run(Night(shop, toy.RUN_DATE))
    tomorrow = Night(shop, toy.RUN_DATE + timedelta(days=1))
    toy.deliver_permissions(shop, tomorrow.run_date)
    stage.run(tomorrow)
    assert [row[0] for row in rows(tomorrow)] == ["1", "2", "2", "3"]


def test_a_wrong_query_is_refused_and_says_what_the_database_says(shop: Shop) -> None:
    source = shop.tables["order_lines"].model_copy(update={"query": "select nothing_there from orders"})
    broken = shop.model_copy(update={"tables": shop.tables | {"order_lines": source}})
    with pytest.raises(SourceRefused, match=r"order_lines\.query failed in the database .*nothing_there"):
        stage.run(Night(broken, date(2026, 3, 31)))


def test_an_unreachable_database_may_be_tried_again_and_its_address_stays_secret(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://reader:secret@127.0.0.1:1/shop")
    with pytest.raises(Transient) as error:
        stage.run(Night(shop, toy.RUN_DATE))
    assert "secret" not in str(error.value)
    assert VARIABLE in str(error.value)


def test_a_missing_variable_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=f"environment variable {VARIABLE} is not set"):
        stage.run(Night(shop, toy.RUN_DATE))
