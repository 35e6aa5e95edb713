"""What tools said about single records: the ledger's book `errors`, one file per channel and night.

`published/ledger/errors/<channel>/<run_date>.parquet`, one row per record, part and code. A row says which code and
which field; values stay out. An erasure takes people's rows out of it as out of every book.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from recsys import ledger
from recsys.delivery.batches import Problem
from recsys.night import Night
from recsys.tables import write_parquet

ERRORS = ledger.Book(
    "errors",
    pl.Schema(
        {
            "run_date": pl.Date(),
            "channel": pl.String(),
            "customer_id": pl.String(),
            "part": pl.String(),
            "code": pl.String(),
            "detail": pl.String(),
        }
    ),
    nights=90,
)
"""`customer_id` is null where the tool did not say whom it meant."""

Identifier = tuple[str, str]
"""What a tool knows somebody by: external_id (ours), email or phone, and its value."""
NOBODY: Identifier = ("", "")


def path_of(night: Night, channel: str) -> Path:
    """Where the errors of a channel and night are; no file without any."""
    return ledger.path_of(night, ERRORS, channel)


def shown_path(night: Night, channel: str) -> str:
    """`path_of` relative to the shop's data folder, as it is told to people."""
    return path_of(night, channel).relative_to(night.shop.root).as_posix()


def read_errors(night: Night, channel: str) -> pl.DataFrame:
    """What was said of records, one row per record, part and code; no rows where nothing was."""
    path = path_of(night, channel)
    return pl.read_parquet(path) if path.is_file() else ERRORS.schema.to_frame()


def refused_by(night: Night, channel: str) -> list[str]:
    """customer_ids whose record the tool refused, ordered; also when it took the rest of their batch."""
    return read_errors(night, channel).get_column("customer_id").drop_nulls().unique().sort().to_list()


class People:
    """Who the records of a night's audience are, by what the ledger says was exported."""

    def __init__(self, night: Night, channel: str) -> None:
        path = ledger.path_of(night, ledger.RECIPIENTS, channel)
        recipients = pl.read_parquet(path) if path.is_file() else ledger.RECIPIENTS.schema.to_frame()
        known = [
            recipients.select(kind=pl.lit("external_id"), value="customer_id", customer_id="customer_id"),
            *(
                recipients.select(
                    kind=pl.lit(kind), value=pl.col("address").str.to_lowercase(), customer_id="customer_id"
                )
                for kind in ("email", "phone")
            ),
        ]
        self._known = pl.concat(known).drop_nulls().unique(["kind", "value"], keep="none", maintain_order=True)

    def customers(self, identifiers: Sequence[Identifier]) -> pl.Series:
        """The customer of each, null for one that is nobody's of this audience."""
        asked = pl.DataFrame(identifiers, schema={"kind": pl.String, "value": pl.String}, orient="row")
        is_address = pl.col("kind") != "external_id"
        lower = asked.with_columns(pl.when(is_address).then(pl.col("value").str.to_lowercase()).otherwise("value"))
        return lower.join(self._known, on=["kind", "value"], how="left", maintain_order="left")["customer_id"]


def enter(
    night: Night, channel: str, people: People, found: Mapping[str, Sequence[tuple[Identifier, Problem]]]
) -> None:
    """Put on record, per part, what the tool said about its records, in the place of what was known of these parts.

    NOBODY has an error that the tool tied to no record; a part without errors is one that was taken after all.
    """
    path = path_of(night, channel)
    if not path.is_file() and not any(found.values()):
        return
    before = read_errors(night, channel)
    rows = [(part, *entry) for part, entries in found.items() for entry in entries]
    new = pl.DataFrame(
        {
            "part": [part for part, _, _ in rows],
            "customer_id": people.customers([identifier for _, identifier, _ in rows]),
            "code": [problem.code for _, _, problem in rows],
            "detail": [problem.detail for _, _, problem in rows],
        },
        schema_overrides=dict.fromkeys(("part", "customer_id", "code", "detail"), pl.String),
    ).with_columns(run_date=pl.lit(night.run_date, pl.Date), channel=pl.lit(channel))
    kept = before.filter(~pl.col("part").is_in(list(found)))
    frame = pl.concat([kept, new.match_to_schema(ERRORS.schema)]).unique().sort("part", "customer_id", "code", "detail")
    if not frame.equals(before):
        write_parquet(frame, path, durable=True)
