"""A good night of the toy shop as the gate finds it: recommendations, decisions and finished files, all by hand.

Ann and Ben are exported to both channels; nobody else may be (see `toy`). Everybody has four recommendations.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from expectations.columns import FILE_SLOT, TABLES, channels_of, file_columns, slot_column
from expectations.evidence import file_of
from recsys.config import Channel
from recsys.files import write_json
from recsys.night import Night
from recsys.tables import write_parquet
from tests import toy

MODEL = "als-1"
LISTS = {
    "ann": ("individual green", "individual black", "individual mint", "popular hammer"),
    "ben": ("individual mint", "individual green", "individual black", "popular saw"),
    "cat": ("individual black", "individual green", "popular mint", "popular hammer"),
    "dan": ("individual drill", "popular green", "popular black", "popular mint"),
    "eve": ("individual saw", "individual drill", "popular green", "popular black"),
    "fay": ("popular hammer", "popular green", "popular black", "popular mint"),
}
STATUS = {
    "ann": "exported",
    "ben": "exported",
    "cat": "no_consent",
    "dan": "suppressed",
    "eve": "consent_expired",
    "fay": "invalid_address",
}
LEARNT = ("ann", "ben", "cat", "dan", "eve")
POPULAR = ("green", "hammer", "black", "mint", "saw", "drill")
EXPORTED = [customer for customer, status in STATUS.items() if status == "exported"]
Change = Callable[[pl.DataFrame], pl.DataFrame]


def recommendations() -> pl.DataFrame:
    """Four rows per customer; scores fall with the rank."""
    rows = [
        (toy.RUN_DATE, customer, rank, entry.split()[1], entry.split()[0], 1 / rank, MODEL)
        for customer, entries in LISTS.items()
        for rank, entry in enumerate(entries, start=1)
    ]
    schema = {
        "run_date": pl.Date,
        "customer_id": pl.String,
        "rank": pl.Int32,
        "product_id": pl.String,
        "source": pl.String,
        "score": pl.Float64,
        "model_version": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def tables(night: Night) -> dict[str, pl.DataFrame]:
    """The seven tables of decisions/, in their documented columns and order."""
    recommended = recommendations().with_columns(reason=pl.lit("Chosen from your own purchases and visits"))
    products = toy.frame("products").select(
        "product_id", "name", "category", "brand", "price", "currency", "url", "image_url"
    )
    people = toy.frame("customers").filter(pl.col("customer_id").is_in(EXPORTED))
    decisions = pl.DataFrame(
        [
            (
                toy.RUN_DATE,
                customer,
                channel.name,
                channel.contact_channel.value,
                status,
                f"It is {status}",
                channel.slots,
            )
            for customer, status in STATUS.items()
            for channel in night.shop.channels
        ],
        schema=dict.fromkeys(TABLES["fct_decisions"], pl.String) | {"run_date": pl.Date, "items": pl.Int64},
        orient="row",
    )
    made = {"fct_recommendations": recommended, "fct_decisions": decisions}
    for kind in ("email_file", "crm_file"):
        to, items = [], []
        for channel in channels_of(night.shop, kind):
            name = pl.lit(channel.name).alias("channel")
            to.append(people.with_columns(name))
            items.append(
                recommended.filter(pl.col("customer_id").is_in(EXPORTED), pl.col("rank") <= channel.slots)
                .join(products, on="product_id", maintain_order="left")
                .with_columns(name, product_name="name")
            )
        made[f"sync_{kind}__recipients"] = pl.concat(to)
        made[f"sync_{kind}__items"] = pl.concat(items)
    named = pl.concat([made["sync_email_file__items"]["product_id"], made["sync_crm_file__items"]["product_id"]])
    made["sync_catalogue__products"] = products.filter(pl.col("product_id").is_in(named.implode())).sort("product_id")
    return {name: frame.select(TABLES[name]) for name, frame in made.items()}


def file_cells(channel: Channel, made: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The cells of one channel's finished file, from its two export tables."""
    ours = pl.col("channel") == channel.name
    cells = made[f"sync_{channel.kind}__recipients"].filter(ours).with_columns(run_date=pl.lit(toy.RUN_DATE))
    items = made[f"sync_{channel.kind}__items"].filter(ours).rename({"product_id": "id", "product_name": "name"})
    for slot in range(1, channel.slots + 1):
        names = {part: slot_column(slot, part) for part in FILE_SLOT[channel.kind]}
        of_slot = items.filter(pl.col("rank") == slot).select("customer_id", *names).rename(names)
        cells = cells.join(of_slot, on="customer_id", how="left", maintain_order="left")
    return cells.select(file_columns(channel)).cast(pl.String)


def write_cells(cells: pl.DataFrame, path: Path) -> None:
    """A finished file: every field quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(cells.write_csv(quote_style="always"), encoding="utf-8")


def write_night(folder: Path) -> Night:
    """The whole good night below `folder`."""
    night = Night(toy.write_shop(folder), toy.RUN_DATE)
    toy.write_raw(night)
    made = tables(night)
    write_parquet(recommendations(), night.recommendations)
    write_features(night)
    for name, frame in made.items():
        write_parquet(frame, night.decisions / f"{name}.parquet")
    for channel in night.shop.channels:
        write_cells(file_cells(channel, made), file_of(night, channel.name))
    write_cells(made["sync_catalogue__products"].cast(pl.String), file_of(night, "catalogue"))
    return night


def write_features(night: Night) -> None:
    """What was learnt from: everybody allows it; the popular products in their order."""
    people = pl.DataFrame({"customer_id": list(STATUS), "may_personalise": True})
    write_parquet(people, night.features / "customers.parquet")
    write_parquet(pl.DataFrame({"customer_id": LEARNT}), night.features / "interactions.parquet")
    ranks = range(1, len(POPULAR) + 1)
    write_parquet(pl.DataFrame({"product_id": POPULAR, "rank": ranks}), night.features / "popularity.parquet")


def change_parquet(path: Path, change: Change) -> None:
    """Rewrite a table of the night."""
    write_parquet(change(pl.read_parquet(path)), path)


def change_file(night: Night, name: str, change: Change) -> None:
    """Rewrite the cells of a finished file, as carefully written as before."""
    path = file_of(night, name)
    write_cells(change(pl.read_csv(path, infer_schema=False)), path)


def write_published(night: Night, channel: str, rows: Mapping[str, int]) -> None:
    """Earlier published nights of a channel: run_date -> recipients."""
    import hashlib

    for day, count in rows.items():
        folder = night.audience(channel).parent / day
        write_json(folder / "manifest.json", {"files": [{"name": f"{channel}.csv", "rows": count}]})
        sha256 = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        (folder / "_SUCCESS").write_text(f"{sha256}\n")
