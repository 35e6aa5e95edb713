"""How long it takes to write the finished files of many recipients, and how much memory: every kind and form of tool.

`python tests/bench_channels.py [RECIPIENTS]`: decisions for a channel per kind and form, five slots each, are made up
first; then each is rendered and exported: ledger, final names, manifest.
"""

import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from channel_contract import RUN_DATE, SCHEMAS
from tool_contract import shop

from recsys import export
from recsys.audit import Check, Verdict
from recsys.channel_settings import Channel
from recsys.channels import render
from recsys.channels.kinds import BUILT_IN, kind_of
from recsys.channels.slots import SlotFile
from recsys.database import connect, copy_to_parquet, literal
from recsys.files import sha256_of
from recsys.night import Night
from recsys.tables import write_parquet

SLOTS = 5
PEOPLE = """
    SELECT
        channel,
        format('customer-{:07d}', id) AS customer_id,
        format('first.last{:07d}@mail.example.com', id) AS email,
        format('+49151{:08d}', id) AS phone,
        format('Name{}', id % 5000) AS first_name,
        format('Family{}', id % 20000) AS last_name,
        ['de', 'en', 'fr', 'it', NULL][1 + id % 5] AS language,
        ['DE', 'AT', 'FR', 'GB'][1 + id % 4] AS country,
        'Europe/Berlin' AS timezone,
        CASE id % 10 WHEN 0 THEN 'interested: tea > green' END AS choices_applied,
        TIMESTAMP '2026-04-01 06:00:00' AS send_not_before,
        TIMESTAMP '2026-04-01 19:00:00' AS send_not_after,
        true AS may_personalise
    FROM range($people) AS people (id), (SELECT unnest($channels::VARCHAR[]) AS channel)
"""
ITEMS = """
    SELECT
        channel,
        customer_id,
        CAST(rank AS INTEGER) AS rank,
        format('P{:05d}', product) AS product_id,
        format('Product number {} of our range, 250 g', product) AS product_name,
        'Because you bought something' AS reason,
        ['bought', 'popular', 'individual'][1 + product % 3] AS reason_kind,
        CASE product % 3 WHEN 0 THEN format('Product {}', product // 2) WHEN 1 THEN '28' END AS reason_about,
        format('https://shop.example.com/products/{}?utm=mail', product) AS url,
        format('https://images.example.com/large/{}.jpg', product) AS image_url,
        CAST((product % 9000) / 100 AS DECIMAL(18, 4)) AS price,
        'EUR' AS currency
    FROM (SELECT channel, customer_id, hash(customer_id) AS seed FROM people), range(1, $slots + 1) AS slots (rank),
        LATERAL (SELECT CAST((seed + rank * 7919) % 20000 AS BIGINT) AS product)
"""


def channels() -> list[Channel]:
    """One channel per kind and form that reads the tables of tools."""
    made = []
    for kind in (kind_of(name) for name in BUILT_IN):
        if not issubclass(kind, SlotFile):
            made += [Channel(name=f"{kind.kind}_{form}", kind=kind.kind, format=form) for form in kind.formats]
    return made


def night_in(folder: Path) -> Night:
    """A night of the toy shop with these channels, below a folder."""
    update = {"channels": tuple(channels()), "path": folder / "shop.yaml"}
    return Night(shop().model_copy(update=update), RUN_DATE)


def write_decisions(folder: Path, names: list[str], people: int) -> None:
    """The export tables of these channels, in the order in which `decide` leaves them."""
    for table, schema in SCHEMAS.items():
        write_parquet(pl.DataFrame(schema=schema), folder / f"{table}.parquet")
    values: dict[str, object] = {"people": people, "channels": names}
    with connect(folders=[folder]) as con:
        con.execute(f"CREATE TABLE people AS {PEOPLE}", values)
        con.execute(f"CREATE VIEW items AS {ITEMS.replace('$slots', str(SLOTS))}")
        for table, rows, order in (
            ("recipients", "people", "channel, customer_id"),
            ("items", "items", "channel, customer_id, rank"),
        ):
            query = f"SELECT * FROM {rows} ORDER BY {order}"
            copy_to_parquet(con, query, folder / f"sync_tool__{table}.parquet")
        product = "product_id, any_value(product_name) AS name, 'tea' AS category, NULL::VARCHAR AS brand"
        query = f"SELECT {product}, any_value(price) AS price, 'EUR' AS currency, NULL::VARCHAR AS url"
        path = literal(str(folder / "sync_tool__items.parquet"))
        query += f", NULL::VARCHAR AS image_url FROM read_parquet({path}) GROUP BY product_id ORDER BY product_id"
        copy_to_parquet(con, query, folder / "sync_catalogue__products.parquet")


def peak() -> float:
    """Most memory that this process had so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and of processors, all threads together: these hardly depend on what else runs."""
    return time.perf_counter(), time.process_time()


def judge(night: Night) -> None:
    """A green verdict on everything that is there; what the gate itself takes is not measured here."""
    good = Check(suite="bench", check="good", severity="critical", passed=True)
    paths = [night.recommendations, *night.files.glob("*/*"), *night.folder.glob("rows/*.parquet")]
    files = {path.relative_to(night.folder).as_posix(): sha256_of(path) for path in paths}
    Verdict(run_date=night.run_date, checks=(good,), files=files).write(night.verdict)


def measure(night: Night) -> None:
    """Render every channel, full, and export it: seconds, MiB written and the peak so far."""
    total = [0.0] * 4
    write_parquet(pl.DataFrame({"model_version": ["als-1"]}), night.recommendations)
    print(f"{'channel':<20}{'render s':>9}{'CPU s':>8}{'MiB':>7}{'export s':>10}{'CPU s':>8}{'peak MiB':>10}")
    for channel in render.audiences(night.shop):
        began = clocks()
        render.make(night, channel)
        rendered = clocks()
        judge(night)
        judged = clocks()
        export.run(night, channel.name)
        done = clocks()
        took = [
            later - earlier
            for pair in ((began, rendered), (judged, done))
            for earlier, later in zip(*pair, strict=True)
        ]
        total = [sum(pair) for pair in zip(total, took, strict=True)]
        written = sum(path.stat().st_size for path in (night.files / channel.name).iterdir()) / 2**20
        _show(channel.name, took, f"{written:.0f}")
    _show("together", total, "")


def _show(name: str, took: list[float], written: str) -> None:
    print(f"{name:<20}{took[0]:>9.1f}{took[1]:>8.1f}{written:>7}{took[2]:>10.1f}{took[3]:>8.1f}{peak():>10.0f}")


def main(people: int) -> None:
    """Make the decisions in a process of their own, so that their memory is not counted, and measure."""
    import subprocess

    with TemporaryDirectory() as scratch:
        if len(sys.argv) < 3:
            subprocess.run([sys.executable, __file__, str(people), scratch], check=True)
            print(f"{people:,} recipients, {SLOTS} slots")
            measure(night_in(Path(scratch)))
        else:
            write_decisions(night_in(Path(sys.argv[2])).decisions, [channel.name for channel in channels()], people)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
