"""Writes a night's raw tables: every contract table as of the night's end, and the settings dbt works with."""

import polars as pl

from recsys.night import Night
from recsys.tables import write_parquet

QUARANTINE_SCHEMA = pl.Schema(
    {
        "table_name": pl.String(),
        "file": pl.String(),
        "line": pl.Int64(),
        "column_name": pl.String(),
        "reason": pl.String(),
        "row_hash": pl.String(),
        "source_sha256": pl.String(),
    }
)


def write_quarantine(night: Night, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Write and return `raw/quarantine.parquet`: one row per bad row and reason, ordered; no values of the row."""
    frame = pl.concat([QUARANTINE_SCHEMA.to_frame(), *parts]).sort(QUARANTINE_SCHEMA.names(), nulls_last=True)
    write_parquet(frame, night.raw / "quarantine.parquet")
    return frame


def write_settings(night: Night) -> None:
    """Write `raw/settings.parquet` (one row) and `raw/channels.parquet` (one row per channel), read by dbt as sources.

    Settings travel as data so that no value is ever pasted into SQL.
    """
    recommend = night.shop.recommend
    settings = pl.DataFrame(
        {
            "shop": [night.shop.shop],
            "run_date": [night.run_date],
            "night_end": [night.end],
            "currency": [night.shop.currency],
            "k": [recommend.k],
            "half_life_days": [recommend.half_life_days],
            "popular_days": [recommend.popular_days],
            "weight_order": [recommend.weights.order],
            "weight_cart": [recommend.weights.cart],
            "weight_wishlist": [recommend.weights.wishlist],
            "weight_view": [recommend.weights.view],
        },
        schema_overrides={"night_end": pl.Datetime("us")},
    )
    write_parquet(settings, night.raw / "settings.parquet")
    channels = pl.DataFrame(
        [
            {
                "channel": channel.name,
                "kind": channel.kind,
                "contact_channel": channel.contact_channel.value,
                "slots": channel.slots,
                "min_items": channel.min_items,
                "position": position,
            }
            for position, channel in enumerate(night.shop.channels, start=1)
        ]
    )
    write_parquet(channels, night.raw / "channels.parquet")
