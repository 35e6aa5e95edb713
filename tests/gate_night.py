"""A good night of the toy shop as the gate finds it: recommendations, decisions and finished files, all by hand.

Ann and Ben are exported to both channels; nobody else may be (see `toy`). Everybody has four recommendations.
"""

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from expectations.columns import FILE_SLOT, REMOVE_FILE, TABLES, channels_of, check_in_file, file_columns, slot_column
from expectations.evidence import file_of
from recsys import ledger
from recsys.channel_settings import Channel
from recsys.config import load_shop
from recsys.files import write_json
from recsys.night import Night
from recsys.tables import write_parquet
from recsys.vocabulary import OF_MODEL
from tests import toy

MODEL = "als-1"
LISTS = {
    "ann": ("buy_again green", "buy_again black", "individual mint", "popular hammer"),
    "ben": ("buy_again mint", "buy_again green", "buy_again black", "popular saw"),
    "cat": ("individual black", "buy_again green", "popular mint", "popular hammer"),
    "dan": ("individual drill", "popular green", "popular black", "popular mint"),
    "eve": ("individual saw", "individual drill", "popular green", "popular black"),
    "fay": ("popular hammer", "popular green", "popular black", "popular mint"),
}
HISTORY = {"ann": "green black", "ben": "green black mint", "cat": "green", "dan": "hammer saw", "eve": "hammer"}
"""What they bought, and what their individual rows come from: the first of these that is another product."""
SHARE = 0.6
STATUS = {
    "ann": "exported",
    "ben": "exported",
    "cat": "no_consent",
    "dan": "suppressed",
    "eve": "consent_expired",
    "fay": "invalid_address",
}
REMOVALS = dict.fromkeys(
    ("channel", "customer_id", "email", "contact_channel", "address", "reason"), pl.String
) | dict.fromkeys(("run_date", "left_since"), pl.Date)
CHECK_INS = dict.fromkeys(
    ("channel", "contact_channel", "customer_id", "email", "phone", "first_name", "language", "country"), pl.String
) | {"run_date": pl.Date, "rank": pl.Int32, "topic": pl.String, "why": pl.String, "reason": pl.String}
CHECK_INS |= dict.fromkeys(("send_not_before", "send_not_after"), pl.Datetime("us"))
TOOL = dict.fromkeys(
    {name for table in TABLES for name in TABLES[table] if table.startswith("sync_tool")}, pl.String
) | {
    **dict.fromkeys(("may_personalise", "is_everywhere"), pl.Boolean),
    **dict.fromkeys(("send_not_before", "send_not_after"), pl.Datetime("us")),
    **{"rank": pl.Int32, "price": pl.Decimal(18, 4), "left_since": pl.Date},
}
WINDOW = {
    "send_not_before": pl.lit(datetime(2026, 4, 1, 0)),
    "send_not_after": pl.lit(datetime(2026, 4, 1, 22)),
}
"""The day after the night in Germany, from the night's end on."""
LEARNT = ("ann", "ben", "cat", "dan", "eve")
DID = [
    ("ann", 1, 1, 19.8),
    ("ben", 1, 1, 29.7),
    ("cat", 1, 2, 9.9),
    ("dan", 1, 1, 19.8),
    ("eve", 2, 2, 9.9),
    ("fay", 0, 0, 0.0),
]
"""Orders, active days and spend of each."""
POPULAR = ("green", "hammer", "black", "mint", "saw", "drill")
EXPORTED = [customer for customer, status in STATUS.items() if status == "exported"]
Change = Callable[[pl.DataFrame], pl.DataFrame]


def recommendations() -> pl.DataFrame:
    """Four rows per customer; scores fall with the rank."""
    rows = [
        (toy.RUN_DATE, customer, rank, entry.split()[1], entry.split()[0], 1 / rank, MODEL, None, None, None)
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
        "because": pl.String,
        "topic": pl.String,
        "context": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def reasons() -> pl.DataFrame:
    """One reason for every row of the model."""
    rows = [
        (toy.RUN_DATE, customer, rank, 1, product, because, "bought", SHARE)
        for customer, entries in LISTS.items()
        for rank, (source, product) in enumerate((entry.split() for entry in entries), start=1)
        if source in OF_MODEL
        for because in [name for name in (HISTORY[customer] + " black").split() if name != product][:1]
    ]
    rows = [(*row[:6], "looked_at" if row[1] == "cat" and row[5] == "black" else row[6], row[7]) for row in rows]
    schema = {
        "run_date": pl.Date,
        "customer_id": pl.String,
        "rank": pl.Int32,
        "place": pl.Int32,
        "product_id": pl.String,
        "because_product_id": pl.String,
        "kind": pl.String,
        "share": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def decided() -> pl.DataFrame:
    """The recommendations with what is said about each."""
    own = reasons().rename({"share": "because_share"}).drop("run_date", "place")
    about = (
        pl.when(pl.col("kind").is_null()).then(pl.lit("28")).otherwise(pl.col("because_product_id").str.to_titlecase())
    )
    words = pl.col("reason_kind").replace_strict(
        {"popular": "Popular in the last ", "bought": "Because you bought ", "looked_at": "Because you looked at "}
    )
    return (
        recommendations()
        .join(own, on=["customer_id", "rank", "product_id"], how="left", maintain_order="left")
        .with_columns(reason_kind=pl.col("kind").fill_null("popular"), reason_about=about)
        .with_columns(
            reason=words
            + pl.col("reason_about")
            + pl.when(pl.col("kind").is_null()).then(pl.lit(" days")).otherwise(pl.lit(""))
        )
    )


def tables(night: Night) -> dict[str, pl.DataFrame]:
    """The seven tables of decisions/, in their documented columns and order."""
    recommended = decided()
    products = toy.frame("products").select(
        "product_id", "name", "category", "brand", "price", "currency", "url", "image_url"
    )
    people = toy.frame("customers").filter(pl.col("customer_id").is_in(EXPORTED))
    people = people.with_columns(choices_applied=pl.lit(None, pl.String))
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
            to.append(people.with_columns(name, **WINDOW))
            items.append(
                recommended.filter(pl.col("customer_id").is_in(EXPORTED), pl.col("rank") <= channel.slots)
                .join(products, on="product_id", maintain_order="left")
                .with_columns(name, product_name="name")
            )
        made[f"sync_{kind}__recipients"] = pl.concat(to)
        made[f"sync_{kind}__items"] = pl.concat(items)
    named = pl.concat([made["sync_email_file__items"]["product_id"], made["sync_crm_file__items"]["product_id"]])
    for table in ("fct_removals", "sync_email_file__removals", "sync_crm_file__removals"):
        made[table] = pl.DataFrame(schema=REMOVALS)
    for table in ("sync_tool__recipients", "sync_tool__items", "sync_tool__removals", "sync_tool__held"):
        made[table] = pl.DataFrame(schema=TOOL)
    for table in ("fct_check_ins", "sync_check_in__recipients", "sync_check_in__topics"):
        made[table] = pl.DataFrame(schema=CHECK_INS)
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
    cells = cells.with_columns(pl.col(*WINDOW).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return cells.select(file_columns(channel)).cast(pl.String)


def write_cells(cells: pl.DataFrame, path: Path) -> None:
    """A finished file: every field quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(cells.write_csv(quote_style="always"), encoding="utf-8")


def write_night(folder: Path) -> Night:
    """The whole good night below `folder`: a copy of the one that was made first."""
    shutil.copytree(_first().name, folder, dirs_exist_ok=True)
    return Night(load_shop(folder / "shop.yaml"), toy.RUN_DATE)


@cache
def _first() -> TemporaryDirectory[str]:
    made = TemporaryDirectory(prefix="gate-night-")
    _made(Path(made.name))
    return made


def _made(folder: Path) -> None:
    night = Night(toy.write_shop(folder), toy.RUN_DATE)
    toy.write_raw(night)
    made = tables(night)
    write_parquet(recommendations(), night.recommendations)
    write_parquet(reasons(), night.reasons)
    write_features(night)
    write_model(night)
    for name, frame in made.items():
        write_parquet(frame, night.decisions / f"{name}.parquet")
    for channel in night.shop.channels:
        write_cells(file_cells(channel, made), file_of(night, channel.name))
        nobody = pl.DataFrame(schema=dict.fromkeys(REMOVE_FILE[channel.kind], pl.String))
        unasked = dict.fromkeys(check_in_file(channel, night.shop.check_in.topics), pl.String)
        write_cells(pl.DataFrame(schema=unasked), file_of(night, f"check_in_{channel.name}"))
        write_cells(nobody, beside(night, channel.name, "remove"))
        write_cells(file_cells(channel, made).clear(), beside(night, channel.name, "clear"))
    write_cells(made["sync_catalogue__products"].cast(pl.String), file_of(night, "catalogue"))


def write_features(night: Night) -> None:
    """What was learnt from: everybody allows it; what each did; the popular products in their order."""
    people = pl.DataFrame(
        {"customer_id": list(STATUS), "may_personalise": True, "context": None}, schema_overrides={"context": pl.String}
    )
    write_parquet(people, night.features / "customers.parquet")
    write_parquet(pl.DataFrame({"customer_id": LEARNT}), night.features / "interactions.parquet")
    figures = pl.DataFrame(DID, schema=["customer_id", "orders", "active_days", "spend"], orient="row")
    write_parquet(figures.cast({"spend": pl.Decimal(18, 4)}), night.features / "customer_features.parquet")
    ranks = range(1, len(POPULAR) + 1)
    write_parquet(pl.DataFrame({"product_id": POPULAR, "rank": ranks}), night.features / "popularity.parquet")
    of_countries = pl.DataFrame(schema={"context": pl.String, "product_id": pl.String, "rank": pl.Int64})
    write_parquet(of_countries, night.features / "popularity_by_country.parquet")


def write_model(night: Night, **scores: float) -> None:
    """Tastes of 1 for everybody's rows of the model and 0 for all else; drill=0.3 is another score of the drills."""
    products = sorted([*POPULAR, *(f"other{place:02}" for place in range(60))])
    rows = recommendations().filter(pl.col("source").is_in(OF_MODEL)).select("customer_id", "product_id").rows()
    tastes = np.zeros((len(STATUS), len(products)), dtype=np.float32)
    for customer, product in rows:
        tastes[list(STATUS).index(customer), products.index(product)] = scores.get(product, 1.0)
    write_parquet(pl.DataFrame({"customer_id": list(STATUS)}), night.model / "customers.parquet")
    write_parquet(pl.DataFrame({"product_id": products}), night.model / "products.parquet")
    np.savez(night.model / "factors.npz", user_factors=tastes, item_factors=np.eye(len(products), dtype=np.float32))


def change_parquet(path: Path, change: Change) -> None:
    """Rewrite a table of the night."""
    write_parquet(change(pl.read_parquet(path)), path)


def change_file(night: Night, name: str, change: Change) -> None:
    """Rewrite the cells of a finished file, as carefully written as before."""
    path = file_of(night, name)
    write_cells(change(pl.read_csv(path, infer_schema=False)), path)


def beside(night: Night, channel: str, what: str) -> Path:
    """Where the remove or clear file of a channel lies."""
    return night.files / channel / f"{channel}_{what}_{night.run_date:%Y%m%d}.csv"


def write_past(night: Night, *rows: tuple[str, str, str, str | None], published: tuple[str, ...] = ()) -> None:
    """Entries of earlier nights in the night's ledger: run_date, channel, customer_id, address.

    Every night that has an entry was published, and so were those of `published`, which nobody was in.
    """
    entries = pl.DataFrame(
        [(day, "recommendations", channel, "email", who, address) for day, channel, who, address in rows],
        schema=dict.fromkeys(ledger.RECIPIENTS.schema, pl.String),
        orient="row",
    ).with_columns(pl.col("run_date").str.to_date("%Y-%m-%d"))
    write_parquet(entries, night.raw / "ledger" / "recipients" / "past.parquet")
    nights = {(channel, day) for day, channel, *_ in rows}
    nights |= {(channel.name, day) for day in published for channel in night.shop.channels}
    past = pl.DataFrame(sorted(nights), schema={"channel": pl.String, "run_date": pl.String}, orient="row")
    write_parquet(
        past.with_columns(
            pl.col("run_date").str.to_date("%Y-%m-%d"), is_published=pl.lit(value=True), is_delivered=pl.lit(value=True)
        ),
        night.raw / "past_nights.parquet",
    )


def write_published(night: Night, channel: str, rows: Mapping[str, int]) -> None:
    """Earlier published nights of a channel: run_date -> recipients."""
    import hashlib

    for day, count in rows.items():
        folder = night.audience(channel).parent / day
        write_json(
            folder / "manifest.json",
            {
                "files": [
                    {"file": f"{channel}_{day.replace('-', '')}.csv", "rows": count},
                    {"file": f"{channel}_remove_{day.replace('-', '')}.csv", "rows": 1_000_000},
                ]
            },
        )
        sha256 = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        (folder / "_SUCCESS").write_text(f"{sha256}\n")
