"""The oracle against the models and the re-count, on as many made-up people as one likes: scripts/permission-oracle.

People are made, and judged by the oracle, in parts that share nobody and no address, so memory does not grow with their
number; dbt and the re-count see all of them in one night.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import polars as pl
from dbt_nights import REASONS
from permission_oracle import CHANNELS
from permission_people import MIN_ITEMS, World, imagine, write_shop
from toy import RUN_DATE, raw_frame, write_raw

from expectations import permission, reasons
from recsys import decide, features
from recsys.contracts import CONTRACTS
from recsys.database import connect, copy_to_parquet, literal
from recsys.files import private_folder
from recsys.night import Night
from recsys.tables import write_parquet

PART = 50_000
PRODUCTS = ["green", "black", "mint"]


@dataclass
class Differences:
    """What is judged otherwise than by the oracle, and how much was judged."""

    judged: int = 0
    models: int = 0
    recount: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


def parts(people: int, seed: int) -> Iterator[World]:
    """The made-up people, one part after the other; the same ones whenever it is called."""
    for first in range(0, people, PART):
        yield imagine(min(PART, people - first), seed + first, first)


def write_night(folder: Path, people: int, seed: int) -> Night:
    """The raw tables and the recommendations of a night with all of them."""
    night = Night(write_shop(folder), RUN_DATE)
    write_raw(night)
    write_parquet(pl.DataFrame(schema=REASONS), night.reasons)
    piles = private_folder(folder / "parts")
    for number, world in enumerate(parts(people, seed)):
        for table, rows in world.tables.items():
            write_parquet(raw_frame(night, table, rows), piles / table / f"{number:03d}.parquet")
        write_parquet(_lists(night, world), piles / "recommendations" / f"{number:03d}.parquet")
        _say(f"made {min(people, (number + 1) * PART):,} people")
    with connect(folders=[piles, night.folder]) as con:
        for pile in sorted(piles.iterdir()):
            target = night.raw / f"{pile.name}.parquet" if pile.name in CONTRACTS else night.recommendations
            copy_to_parquet(con, f"SELECT * FROM read_parquet({literal(str(pile / '*.parquet'))})", target)
    return night


def _lists(night: Night, world: World) -> pl.DataFrame:
    """Popular products for everybody, as many as their list has."""
    return (
        pl.DataFrame({"customer_id": list(world.items), "items": list(world.items.values())})
        .with_columns(rank=pl.int_ranges(1, pl.col("items") + 1))
        .explode("rank")
        .drop_nulls()
        .select(
            pl.lit(night.run_date).alias("run_date"),
            "customer_id",
            pl.col("rank").cast(pl.Int32),
            pl.col("rank").replace_strict(dict(enumerate(PRODUCTS, start=1))).alias("product_id"),
            pl.lit("popular").alias("source"),
            (1 / pl.col("rank")).alias("score"),
            pl.lit("als-1").alias("model_version"),
            pl.lit(None, pl.String).alias("because"),
            pl.lit(None, pl.String).alias("topic"),
            pl.lit(None, pl.String).alias("context"),
        )
    )


def compare(night: Night, people: int, seed: int) -> Differences:
    """Every decision, every reason of the re-count, and every permission to personalise, against the oracle."""
    said = permission.gather(night)
    reasoned = {to: reasons.hindrances(said, to, night.end).sort("customer_id") for to in CHANNELS}
    decided = pl.scan_parquet(night.decisions / "fct_decisions.parquet").select(
        "customer_id", "contact_channel", "status"
    )
    handed = pl.read_parquet(night.features / "customers.parquet").filter("may_personalise")
    total = Differences()
    for number, world in enumerate(parts(people, seed)):
        oracle = world.oracle(night)
        theirs = pl.col("customer_id").is_between(pl.lit(min(oracle.customers)), pl.lit(max(oracle.customers)))
        expected = oracle.statuses(world.items, MIN_ITEMS)
        found = {(name, to): status for name, to, status in decided.filter(theirs).collect().rows()}
        total.judged += len(expected)
        total.models += sum(found.pop(key, None) != status for key, status in expected.items()) + len(found)
        for status in expected.values():
            total.statuses[status] = total.statuses.get(status, 0) + 1
        for to, frame in reasoned.items():
            total.recount += _reason_differences(expected, to, dict(frame.filter(theirs).rows()))
        allowed = {name for name in oracle.customers if oracle.may_personalise(name)}
        total.judged += len(oracle.customers)
        total.models += len(set(handed.filter(theirs)["customer_id"]) ^ allowed)
        total.recount += len(set(said.personalised.filter(theirs)["customer_id"]) ^ allowed)
        _say(f"judged {min(people, (number + 1) * PART):,} people: {total.models + total.recount} differences")
    return total


def _reason_differences(expected: dict[tuple[str, str], str], to: str, found: dict[str, str | None]) -> int:
    about = {status.value for status in reasons.ABOUT_PERMISSION}
    theirs = {
        name: status if status in about else None for (name, channel), status in expected.items() if channel == to
    }
    return sum(found.get(name, "") != status for name, status in theirs.items()) + len(found.keys() - theirs.keys())


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nobody is judged otherwise than by the oracle, 1 when somebody is."""
    parser = argparse.ArgumentParser(prog="scripts/permission-oracle", description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1_000_000, help="how many (default: 1,000,000)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, other people (default: 7)")
    given = parser.parse_args(arguments)
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="permission-oracle-") as folder:
        night = write_night(Path(folder) / "shop", given.people, given.seed)
        _say("features: dbt ...")
        features.run(night)
        _say("decide: dbt ...")
        decide.run(night)
        found = compare(night, given.people, given.seed)
    peaks = [resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    sys.stdout.write(
        f"{given.people:,} people, {found.judged:,} decisions and permissions: {found.models} differ between dbt "
        f"and the oracle, {found.recount} between the re-count and the oracle\n"
        f"{', '.join(f'{status} {count:,}' for status, count in sorted(found.statuses.items()))}\n"
        f"{perf_counter() - started:.0f} s; peak memory {peaks[0]:,} MiB here, {peaks[1]:,} MiB dbt\n"
    )
    return 1 if found.models or found.recount else 0


if __name__ == "__main__":
    sys.exit(main())
