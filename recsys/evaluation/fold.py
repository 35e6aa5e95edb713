"""A fold of a night: what an earlier night would have known, and what customers bought in the days after it.

It is made like a night: the raw tables cut at an earlier moment, then the same dbt models. So nothing that happened
later can leak into it, and what is evaluated is what a night would have worked with. Range and stock alone are
tonight's: no history of them is delivered. A product that says it was launched later is left out.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from recsys import features, ledger
from recsys.contracts import CONTRACTS
from recsys.database import connect, copy_to_parquet, literal, quoted
from recsys.errors import StageInputMissing
from recsys.files import private_folder
from recsys.ingest.assemble import write_settings
from recsys.models.matrix import PAIR
from recsys.night import Night

STATEMENTS = ("consents", "suppressions")
"""Tables that are not cut: who has objected since is not looked at, not even in hindsight."""


@dataclass(frozen=True)
class Fold:
    """One closed window: `night` is the earlier night, with its `features/`; the window begins where that night ends.

    `bought` (customer_id, product_id), ordered: what customers bought in the window and had not sent back by tonight,
    of those who allowed personalisation then and still do tonight.
    """

    night: Night
    days: int
    bought: pl.DataFrame

    @property
    def begin(self) -> date:
        """The first day of the window, in the brand's time zone."""
        return self.night.run_date + timedelta(days=1)


@contextmanager
def open_fold(night: Night, days: int, back: int = 1) -> Iterator[Fold]:
    """The fold whose window is the `back`-th of `days` before the night's end; its folder is gone afterwards.

    Windows lie side by side: the first ends with the night. Raises StageInputMissing when the night's features are not
    there, FeaturesFailed when dbt fails. With no line before the window the fold's features are empty tables.
    """
    known = night.features / "events.parquet"
    if not known.is_file():
        raise StageInputMissing(f"{known}: missing. Run the features stage of {night.run_date} first.")
    home = night.folder / "folds" / str(back)
    shutil.rmtree(home, ignore_errors=True)
    shop = night.shop.model_copy(update={"data_root": str(home), "recommend": night.recommend})
    earlier = Night(shop, night.run_date - timedelta(days=days * back))
    try:
        _cut(night, earlier)
        write_settings(earlier)
        ledger.link(earlier, {})
        features.derive(earlier)
        yield Fold(earlier, days, _bought(night, earlier, orders_in(night, earlier, days).collect()))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _cut(night: Night, earlier: Night) -> None:
    private_folder(earlier.raw)
    with connect(folders=[night.raw, earlier.raw]) as con:
        for name, contract in CONTRACTS.items():
            path = night.raw / f"{name}.parquet"
            if not path.is_file():
                raise StageInputMissing(f"{path}: missing. Run the ingest stage of {night.run_date} first.")
            source = f"SELECT * FROM read_parquet({literal(str(path))})"
            if contract.moment and name not in STATEMENTS:
                moment = quoted(contract.moment)
                end = literal(earlier.end.isoformat())
                source += f" WHERE coalesce({moment} < {end}::TIMESTAMP, true)"
            if name == "products":
                source = _on_offer(source, earlier)
            copy_to_parquet(con, source, earlier.raw / path.name)
        remembered = night.raw / "remembered_suppressions.parquet"
        copy_to_parquet(con, f"SELECT * FROM read_parquet({literal(str(remembered))})", earlier.raw / remembered.name)


def _on_offer(products: str, earlier: Night) -> str:
    """SQL of the products as they were before their time: what was first offered later is no part of the range."""
    is_known = f"coalesce(launched_at < {literal(earlier.end.isoformat())}::TIMESTAMP, true)"
    return f"SELECT * REPLACE (is_active AND {is_known} AS is_active) FROM ({products})"


def orders_in(night: Night, earlier: Night, days: int) -> pl.LazyFrame:
    """The night's orders of products, returns left out, in the window of so many days after an earlier night."""
    until = night.shop.night_end(earlier.run_date + timedelta(days=days))
    return pl.scan_parquet(night.features / "events.parquet").filter(
        pl.col("kind") == "order",
        pl.col("quantity") > 0,
        pl.col("occurred_at") >= earlier.end,
        pl.col("occurred_at") < until,
    )


def _bought(night: Night, earlier: Night, orders: pl.DataFrame) -> pl.DataFrame:
    then, tonight = (
        pl.read_parquet(one.features / "customers.parquet").filter("may_personalise") for one in (earlier, night)
    )
    allowed = then.join(tonight, on="customer_id", how="semi")
    lines = pl.scan_parquet(night.features / "events.parquet").filter(pl.col("kind") == "order")
    kept = lines.group_by(PAIR).agg(pl.col("quantity").sum()).filter(pl.col("quantity") > 0).collect()
    return (
        orders.select(PAIR)
        .unique()
        .join(kept, on=PAIR, how="semi")
        .join(allowed, on="customer_id", how="semi")
        .sort("customer_id", "product_id")
    )
