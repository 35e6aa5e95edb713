"""What the suppression memory knows about tonight's customers, looked up anew from raw/ and the memory itself."""

import json
from datetime import date

import polars as pl

from expectations.normal import mailbox, normalised_email, normalised_phone
from recsys.night import Night
from recsys.suppression.memory import MEMORY, key_of

FOUND = pl.Schema(
    {"customer_id": pl.String(), "channel": pl.String(), "reason": pl.String(), "occurred_at": pl.Datetime("us")}
)


def remembered(night: Night) -> pl.DataFrame:
    """customer_id, channel, reason and occurred_at of every remembered suppression of a customer of raw/.

    No rows where nothing is remembered. Raises SuppressionKeyUnfit when the key does not fit the memory. Hashes are
    made by Python's hmac, once per distinct address or id.
    """
    path = night.published / MEMORY
    key = key_of(night.published)
    if key is None or not path.exists():
        return FOUND.to_frame()
    until = pl.when(pl.col("reason") == "erased").then(_erasures_known(night)).otherwise(night.run_date)
    memory = pl.read_parquet(path).filter(pl.col("since") <= until)
    people = pl.read_parquet(night.raw / "customers.parquet", columns=["customer_id", "email", "phone"])
    people = people.with_columns(normalised_email("email"), normalised_phone("phone"))
    values = [
        ("email", pl.col("email")),
        ("email", mailbox("email")),
        ("phone", pl.col("phone")),
        ("customer_id", pl.col("customer_id")),
    ]
    found = []
    for kind, value in values:
        carried = people.select("customer_id", value=value).drop_nulls()
        distinct = carried["value"].unique()
        hashes = pl.Series("hash", [key.hash(text) for text in distinct], dtype=pl.String)
        told = memory.filter(pl.col("kind") == kind)
        found.append(
            carried.join(pl.DataFrame([distinct, hashes]), on="value").join(told, on="hash").select(FOUND.names())
        )
    return pl.concat(found)


def _erasures_known(night: Night) -> date:
    """Up to which date erasures count: a night that was late knows of later ones than its own."""
    said = json.loads(night.inputs.read_text(encoding="utf-8")).get("erased_until") if night.inputs.exists() else None
    return night.run_date if said is None else max(night.run_date, date.fromisoformat(said))
