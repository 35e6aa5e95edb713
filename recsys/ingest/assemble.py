"""Writes a night's raw tables: every contract table as of the night's end, and the settings dbt works with."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.contracts import Contract
from recsys.database import connect, copy_to_parquet, literal, quoted
from recsys.ingest.clocks import write_clocks
from recsys.ingest.limits import write_limits
from recsys.night import Night
from recsys.tables import schema_of, write_parquet

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


@dataclass(frozen=True)
class RawFile:
    """The landed rows of one source file."""

    good: Path
    bad: Path
    name: str
    file_date: str
    """ISO date, empty when the file has none."""
    sha256: str

    def quarantine(self) -> pl.DataFrame:
        """The file's bad rows in the shape of the quarantine table."""
        return pl.read_parquet(self.bad).select(
            pl.lit(self.good.parent.name).alias("table_name"),
            pl.lit(self.name).alias("file"),
            "line",
            "column_name",
            "reason",
            "row_hash",
            pl.lit(self.sha256).alias("source_sha256"),
        )


def assemble(night: Night, contract: Contract, files: list[RawFile]) -> int:
    """Write `raw/<table>.parquet` from the landed files and return its rows.

    Which rows stay depends on what the files say, never on when they arrived. Tables with a key: the row with the
    newest version column (a file's date stands in for an empty one), then of the newest file. Tables without: a row
    counts as often as in the file that has it most often, so that overlapping deliveries add nothing. Rows at or after
    the night's end stay out, but for a customer's no: that counts as soon as it is known.
    """
    target = night.raw / f"{contract.name}.parquet"
    if not files:
        write_parquet(schema_of(contract).to_frame(), target)
        return 0
    names = ", ".join(quoted(column) for column in contract.column_names)
    in_time = f"WHERE (coalesce({quoted(contract.moment)} < $night_end, true)" if contract.moment else ""
    if in_time:
        in_time += f" OR {contract.binding_early})" if contract.binding_early else ")"
    with connect(folders=[files[0].good.parent, night.raw]) as con:
        con.execute("CREATE TEMP TABLE landed (path VARCHAR, file VARCHAR, file_date VARCHAR)")
        con.executemany("INSERT INTO landed VALUES (?, ?, ?)", [[str(f.good), f.name, f.file_date] for f in files])
        con.execute(
            f"""
            CREATE TEMP VIEW every_row AS
            SELECT rows.* EXCLUDE (filename), landed.file, landed.file_date
            FROM read_parquet([{", ".join(literal(str(f.good)) for f in files)}], filename = true) AS rows
            JOIN landed ON rows.filename = landed.path
            """
        )
        if contract.key:
            keys = ", ".join(quoted(column) for column in contract.key)
            version = ""
            if contract.version:  # an empty version is as new as its file: the end of the file's day
                version = f"coalesce({quoted(contract.version)}, try_cast(file_date AS TIMESTAMP) + INTERVAL 1 DAY)"
                version += " DESC NULLS LAST, "
            kept = f"""
                SELECT {names} FROM every_row {in_time}
                QUALIFY 1 = row_number() OVER (
                    PARTITION BY {keys} ORDER BY {version}file_date DESC, file DESC, _line DESC
                )
            """
        elif len(files) == 1:
            kept = f"SELECT {names} FROM every_row {in_time}"
        else:
            kept = f"""
                SELECT {names} FROM (
                    SELECT {names}, unnest(range(max(copies))) AS _copy
                    FROM (SELECT {names}, file, count(*) AS copies FROM every_row {in_time} GROUP BY ALL)
                    GROUP BY {names}
                )
            """
        parameters = {"night_end": night.end} if contract.moment else {}
        con.execute(f"CREATE TEMP TABLE kept AS {kept}", parameters)
        copy_to_parquet(con, f"SELECT * FROM kept ORDER BY {names}", target)
        return int(con.execute("SELECT count(*) FROM kept").fetchall()[0][0])


def write_quarantine(night: Night, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Write and return `raw/quarantine.parquet`: one row per bad row and reason, ordered; no values of the row."""
    frame = pl.concat([QUARANTINE_SCHEMA.to_frame(), *parts]).sort(QUARANTINE_SCHEMA.names(), nulls_last=True)
    write_parquet(frame, night.raw / "quarantine.parquet")
    return frame


def write_settings(night: Night) -> None:
    """Write `raw/settings.parquet` and `raw/needs.parquet` (one row each) and `raw/channels.parquet` (one row per
    channel), read by dbt as sources.

    With them go the tables of `recsys.ingest.limits` and `recsys.ingest.clocks`. Settings travel as data so that no
    value is ever pasted into SQL.
    """
    recommend = night.recommend
    settings = pl.DataFrame(
        {
            "shop": [night.shop.shop],
            "run_date": [night.run_date],
            "night_end": [night.end],
            "currency": [night.shop.currency],
            "k": [recommend.k],
            "half_life_days": [recommend.half_life_days],
            "window_days": pl.Series([recommend.window_days], dtype=pl.Int64),
            "popular_days": [recommend.popular_days],
            "country_buyers": pl.Series([recommend.country_buyers], dtype=pl.Int64),
            "min_age": [night.shop.permission.min_age],
            "interest_half_life_days": [night.shop.preferences.half_life_days],
            "interest_expire_days": [night.shop.preferences.expire_days],
            "interested_factor": [night.shop.preferences.interested_factor],
            "less_like_this_factor": [night.shop.preferences.less_like_this_factor],
            "timezone": [night.shop.timezone],
            "control_share": [night.shop.control_share],
            "weight_order": [recommend.weights.order],
            "weight_cart": [recommend.weights.cart],
            "weight_wishlist": [recommend.weights.wishlist],
            "weight_view": [recommend.weights.view],
            "reason_min_share": [night.shop.reasons.min_share],
            "max_nights_in_a_row": [night.shop.variety.max_nights_in_a_row],
        },
        schema_overrides={"night_end": pl.Datetime("us"), "max_nights_in_a_row": pl.Int64},
    )
    write_parquet(settings, night.raw / "settings.parquet")
    write_parquet(pl.DataFrame([night.shop.needs.model_dump()]), night.raw / "needs.parquet")
    check_in = night.shop.check_in.model_dump() | {"language": night.shop.reasons.language}
    write_parquet(pl.DataFrame([check_in]), night.raw / "check_in.parquet")
    channels = pl.DataFrame(
        [
            {
                "channel": channel.name,
                "kind": channel.kind,
                "contact_channel": channel.contact_channel.value,
                "carries": list(channel.carries),
                "address_kind": channel.address_kind,
                "asks": channel.asks,
                "slots": channel.slots,
                "min_items": channel.min_items,
                "skip_unchanged": channel.skip_unchanged,
                "language": channel.language,
                "position": position,
            }
            for position, channel in enumerate(night.shop.channels, start=1)
        ],
        schema_overrides={"address_kind": pl.String, "language": pl.String},
    )
    write_parquet(channels, night.raw / "channels.parquet")
    write_limits(night)
    write_clocks(night)
