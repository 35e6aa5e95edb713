"""Which rows each suite looks at: the night's tables and finished files, with the facts about each row beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from expectations.columns import PLAIN, RECOMMENDATIONS, TABLES, channels_of, columns_of, plain_channels, slot_column
from expectations.evidence import CATALOGUE, Evidence
from expectations.facts import Facts
from recsys.channel_settings import Channel
from recsys.vocabulary import Source, Status

Rows = Callable[[], pl.DataFrame]


@dataclass(frozen=True)
class Batch:
    """One suite over one table or file. `rows` is called at its turn, so that one batch is in memory at a time."""

    suite: str
    about: str
    rows: Rows
    parameters: dict[str, Any] = field(default_factory=dict)


def batches(evidence: Evidence, facts: Facts) -> list[Batch]:
    """Every batch of a night, headers first."""
    night = evidence.night
    channels = night.shop.channels
    names = [channel.name for channel in channels]
    common = {"k": night.shop.recommend.k, "run_dates": [night.run_date.isoformat()]}
    tables = evidence.tables
    found = [
        *_headers(evidence),
        Batch(
            "recommendations",
            "recommendations",
            lambda: recommendations(evidence.recommendations, facts),
            common | {"sources": [source.value for source in Source]},
        ),
        Batch(
            "decisions",
            "fct_decisions",
            lambda: decisions(evidence, facts),
            common
            | {
                "channels": names,
                "statuses": [status.value for status in Status],
                "decisions": facts.customers.height * len(channels),
            },
        ),
    ]
    for kind in PLAIN:
        export, of_kind = f"sync_{kind}", {"channels": [channel.name for channel in channels_of(night.shop, kind)]}
        to, what = tables[f"{export}__recipients"], tables[f"{export}__items"]
        found.append(Batch("recipients", f"{export}__recipients", _recipients(_same(to), evidence, facts), of_kind))
        if "email" in to.columns:
            found.append(Batch("addresses", f"{export}__recipients", _same(to)))
        found.append(Batch("items", f"{export}__items", _items(_same(what), _same(to), evidence, facts)))
    for channel in plain_channels(night.shop):
        found += _file_batches(channel, evidence, facts.in_files(), common)
    made, finished = tables["sync_catalogue__products"], evidence.files[CATALOGUE].cells
    found.append(Batch("catalogue", "sync_catalogue__products", lambda: catalogue(made, evidence, facts)))
    found.append(Batch("catalogue", "files/catalogue", lambda: catalogue(finished, evidence, facts.in_files())))
    return found


def _headers(evidence: Evidence) -> list[Batch]:
    shop = evidence.night.shop
    allowed = {
        "recommendations": (evidence.recommendations, RECOMMENDATIONS),
        **{name: (frame, TABLES[name]) for name, frame in evidence.tables.items()},
        **{f"files/{name}": (file.cells, columns_of(shop, name)) for name, file in evidence.files.items()},
    }
    return [
        Batch("header", about, _same(frame.clear()), {"columns": list(columns)})
        for about, (frame, columns) in allowed.items()
    ]


def _file_batches(channel: Channel, evidence: Evidence, facts: Facts, common: dict[str, Any]) -> list[Batch]:
    about = f"files/{channel.name}"

    def rows() -> pl.DataFrame:
        items = [pl.col(slot_column(slot, "id")).is_not_null() for slot in range(1, channel.slots + 1)]
        cells = evidence.audience(channel).with_columns(items=pl.sum_horizontal(items).cast(pl.Int64))
        return cells.with_columns(pl.lit(channel.name).alias("channel"))

    found = [
        Batch(
            "audience_file",
            about,
            lambda: rows().select("run_date", "items"),
            common | {"min_items": channel.min_items, "slots": channel.slots},
        ),
        Batch("recipients", about, _recipients(rows, evidence, facts), {"channels": [channel.name]}),
        Batch("items", f"{about} slots", _items(lambda: evidence.slots(channel), rows, evidence, facts)),
    ]
    if channel.kind == "email_file":
        found.append(Batch("addresses", about, rows))
    return found


def recommendations(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Customer and rank, with what raw/ says about the customer, the product and the purchase."""
    return (
        _with_facts(rows, facts)
        .sort("customer_id", "source", "rank")
        .with_columns(
            never_rises=(pl.col("score") <= pl.col("score").shift())
            | pl.col("customer_id").ne_missing(pl.col("customer_id").shift())
            | pl.col("source").ne_missing(pl.col("source").shift())
            | pl.col("score").is_null(),
            is_known_customer=_is_in("customer_id", facts.customers),
        )
        .with_columns(pl.col("never_rises").fill_null(value=True))
        .pipe(_with_expected_rank, ["customer_id"])
    )


def decisions(evidence: Evidence, facts: Facts) -> pl.DataFrame:
    """Customer and channel, with what the shop file says about the channel."""
    channels = pl.DataFrame(
        [(c.name, c.contact_channel.value, c.min_items) for c in evidence.night.shop.channels],
        schema={"channel": pl.String, "configured": pl.String, "min_items": pl.Int64},
        orient="row",
    )
    is_exported = pl.col("status") == Status.EXPORTED.value
    return (
        evidence.tables["fct_decisions"]
        .join(channels, on="channel", how="left", maintain_order="left")
        .with_columns(
            is_known_customer=_is_in("customer_id", facts.customers),
            is_contact_channel_of_channel=pl.col("contact_channel").eq_missing(pl.col("configured")),
            has_enough_items=~is_exported.fill_null(value=False)
            | (pl.col("items") >= pl.col("min_items")).fill_null(value=False),
        )
        .drop("configured", "min_items")
    )


def _recipients(rows: Rows, evidence: Evidence, facts: Facts) -> Rows:
    def marked() -> pl.DataFrame:
        exported = evidence.tables["fct_decisions"].filter(pl.col("status") == Status.EXPORTED.value)
        columns = rows().select("channel", "customer_id", "language", "country")
        return _marked(columns, exported, ["channel", "customer_id"], "is_exported").with_columns(
            is_known_customer=_is_in("customer_id", facts.customers)
        )

    return marked


def _items(rows: Rows, recipients: Rows, evidence: Evidence, facts: Facts) -> Rows:
    slots = {channel.name: channel.slots for channel in evidence.night.shop.channels}
    most = pl.col("channel").replace_strict(slots, default=0, return_dtype=pl.Int64)

    def marked() -> pl.DataFrame:
        key = ["channel", "customer_id"]
        return (
            _marked(_with_facts(rows(), facts), recipients(), key, "is_recipient")
            .with_columns(is_within_slots=pl.col("rank").is_between(1, most))
            .pipe(_with_expected_rank, key)
        )

    return marked


def catalogue(rows: pl.DataFrame, evidence: Evidence, facts: Facts) -> pl.DataFrame:
    """Product of the catalogue table, or of the finished file, where the price is still a text."""
    return _marked(
        _with_facts(rows, facts), exported_products(evidence), ["product_id"], "is_exported_product"
    ).with_columns(pl.col("price").cast(pl.Float64, strict=False))


def exported_products(evidence: Evidence) -> pl.DataFrame:
    """product_id of every product that some exported row names."""
    items = [frame.select("product_id") for name, frame in evidence.tables.items() if name.endswith("__items")]
    return pl.concat(items).unique()


def _same(frame: pl.DataFrame) -> Rows:
    return lambda: frame


def _is_in(column: str, known: pl.DataFrame) -> pl.Expr:
    return pl.col(column).is_in(known[column].implode()).fill_null(value=False)


def _marked(rows: pl.DataFrame, those: pl.DataFrame, on: list[str], flag: str) -> pl.DataFrame:
    """The rows with a flag that is true where the key is among `those`."""
    keys = those.select(on).unique().with_columns(pl.lit(value=True).alias(flag))
    return rows.join(keys, on=on, how="left", maintain_order="left").with_columns(pl.col(flag).fill_null(value=False))


def _with_expected_rank(rows: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    return rows.with_columns(expected_rank=pl.col("rank").rank("ordinal").over(group).cast(pl.Int64))


def _with_facts(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """The rows with is_known_product, is_eligible, agrees_with_products and, per customer, is_new_or_replenishable.

    Agreement is about the public fields that the rows carry: absent on both sides agrees, a price agrees by amount.
    """
    carried = [name for name in ("url", "image_url", "currency", "price") if name in rows.columns]
    known = facts.products.select("product_id", "is_eligible", pl.col(carried).name.suffix("_known"))
    marked = rows.join(known, on="product_id", how="left", maintain_order="left").with_columns(
        is_known_product=pl.col("is_eligible").is_not_null(),
        is_eligible=pl.col("is_eligible").fill_null(value=False),
        agrees_with_products=pl.all_horizontal(pl.lit(value=True), *(_agrees(name) for name in carried)),
    )
    if "customer_id" in rows.columns:
        bought = facts.bought.with_columns(is_new_or_replenishable=pl.lit(value=False))
        marked = marked.join(bought, on=["customer_id", "product_id"], how="left", maintain_order="left").with_columns(
            pl.col("is_new_or_replenishable").fill_null(value=True)
        )
    return marked.drop([f"{name}_known" for name in carried])


def _agrees(name: str) -> pl.Expr:
    ours, known = pl.col(name), pl.col(f"{name}_known")
    if name != "price":
        return ours.eq_missing(known)
    amount = ours.cast(pl.Float64, strict=False)
    return (ours.is_null() & known.is_null()) | (amount == known.cast(pl.Float64)).fill_null(value=False)
