"""The re-count of variety: no more of a category, of a brand, or bought before, than allowed, and nothing night after
night without end.

From raw products and orders, the ledger and the lists; it shares no SQL with the dbt project. Whatever it finds is
critical.
"""

from datetime import timedelta

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import found_none
from expectations.permission import Permissions
from recsys.audit import Check
from recsys.night import Night
from recsys.vocabulary import OF_MODEL, Source

SUITE = "recount/variety"
PAIR = ["customer_id", "product_id"]


def check(evidence: Evidence, permissions: Permissions) -> list[Check]:
    """The limits on all lists, exported or not."""
    night, rows = evidence.night, evidence.recommendations.select(PAIR)
    settings, kinds = night.shop.variety, rows.join(_kinds(night), on="product_id", how="left")
    checks = []
    for column, most in (("category", settings.max_per_category), ("brand", settings.max_per_brand)):
        counts = kinds.drop_nulls(column).group_by("customer_id", column).len()
        beyond = 0 if most is None else counts.filter(pl.col("len") > most).height
        checks.append(found_none(SUITE, f"{column}_within_its_limit", beyond, counts.height, noun="groups"))
    ordered, most = _bought(night, permissions), settings.max_bought_again
    bought = ordered.filter("is_kept").select(PAIR)
    again = rows.join(bought, on=PAIR, how="semi").group_by("customer_id").len()
    beyond = 0 if most is None else again.filter(pl.col("len") > most).height
    checks.append(found_none(SUITE, "bought_before_within_its_limit", beyond, again.height, noun="lists"))
    of_model = evidence.recommendations.filter(pl.col("source").is_in(OF_MODEL)).select(*PAIR, "source")
    labelled, is_again = (
        of_model.join(bought.with_columns(again=True), on=PAIR, how="left"),
        pl.col("again").is_not_null(),
    )
    wrong = labelled.filter((pl.col("source") == Source.BUY_AGAIN.value) != is_again).height
    checks.append(found_none(SUITE, "buy_again_was_bought_before", wrong, of_model.height, noun="items"))
    tired = rows.join(_sent_every_night(night), on=PAIR, how="semi")
    unending = tired.join(ordered.filter("is_used_up"), on=PAIR, how="anti")
    checks.append(found_none(SUITE, "nothing_too_many_nights_in_a_row", unending.height, rows.height, noun="items"))
    return checks


def _kinds(night: Night) -> pl.DataFrame:
    """product_id, category (the top one) and brand as they are compared; null where there is none."""
    top = pl.col("category").str.split(">").list.first().str.strip_chars().str.to_lowercase()
    brand = pl.col("brand").str.strip_chars().str.to_lowercase()
    return (
        pl.read_parquet(night.raw / "products.parquet", columns=["product_id", "category", "brand"])
        .with_columns(category=top, brand=brand)
        .with_columns(pl.when(pl.col(name) != "").then(name) for name in ("category", "brand"))
    )


def _sent_every_night(night: Night) -> pl.DataFrame:
    """Pairs that the ledger has on every one of the last nights, as many as the shop file allows."""
    most = night.shop.variety.max_nights_in_a_row
    if most is None:
        return pl.DataFrame(schema=dict.fromkeys(PAIR, pl.String))
    since = night.run_date - timedelta(days=most)
    return (
        pl.scan_parquet(night.raw / "ledger" / "items" / "*.parquet")
        .filter(pl.col("run_date").is_between(since, night.run_date, closed="left"))
        .select(*PAIR, "run_date")
        .unique()
        .group_by(PAIR)
        .len()
        .filter(pl.col("len") == most)
        .select(PAIR)
        .collect(engine="streaming")
    )


def _bought(night: Night, permissions: Permissions) -> pl.DataFrame:
    """What persons who may be personalised ever ordered, under any id of theirs: PAIR, is_kept, is_used_up.

    Kept is what was not sent back in full; what is used up may be due.
    """
    used_up = pl.scan_parquet(night.raw / "products.parquet").filter("replenishable").select("product_id")
    return (
        pl.scan_parquet(night.raw / "order_lines.parquet")
        .filter(pl.col("ordered_at") < night.end)
        .select("product_id", "quantity", id=pl.coalesce("customer_id", "visitor_id"))
        .join(permissions.ids.lazy(), on="id")
        .join(permissions.personalised.lazy(), on="customer_id", how="semi")
        .group_by(PAIR)
        .agg(is_kept=pl.col("quantity").sum() > 0)
        .join(used_up.with_columns(is_used_up=True), on="product_id", how="left")
        .with_columns(pl.col("is_used_up").fill_null(value=False))
        .collect()
    )
