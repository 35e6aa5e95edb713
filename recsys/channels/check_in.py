"""Whom to ask over one channel whether what we think they want still holds, and about what."""

from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import read_decisions, require_distinct
from recsys.channels.csv_file import CsvFile
from recsys.errors import CannotRender

CHECK_IN = "check_in_"
WITHOUT_ADDRESS = ("customer_id", "language", "country", "send_not_before", "send_not_after")
WITH_ADDRESS = ("customer_id", "email", "first_name", *WITHOUT_ADDRESS[1:])


class CheckInFile(CsvFile):
    """One row per person who is asked, ordered by customer_id; `topic_1`, `why_1`, `reason_1` and so on.

    The most important topic is first; empty where there are fewer. Names and addresses as in the channel's own file.
    """

    identifiers = frozenset({"customer_id", "email"})

    def __init__(self, channel: str, recipient_columns: tuple[str, ...], topics: int) -> None:
        self.name = f"{CHECK_IN}{channel}"
        self.channel = channel
        self.topics = topics
        self.recipient_columns = WITH_ADDRESS if "email" in recipient_columns else WITHOUT_ADDRESS

    @property
    def columns(self) -> tuple[str, ...]:
        slots = (f"{cell}_{slot}" for slot in range(1, self.topics + 1) for cell in ("topic", "why", "reason"))
        return (*self.recipient_columns, "run_date", *slots)

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        ours = pl.col("channel") == self.channel
        recipients = read_decisions(decisions, "sync_check_in__recipients").filter(ours)
        topics = read_decisions(decisions, "sync_check_in__topics").filter(ours)
        self._check(recipients, topics)
        table = recipients.select(*self.recipient_columns, pl.lit(run_date, pl.Date).alias("run_date"))
        table = table.sort("customer_id")
        for slot in range(1, self.topics + 1):
            cells = (pl.col(cell).alias(f"{cell}_{slot}") for cell in ("topic", "why", "reason"))
            of_slot = topics.filter(pl.col("rank") == slot).select("customer_id", *cells)
            table = table.join(of_slot, on="customer_id", how="left", maintain_order="left")
        return table

    def _check(self, recipients: pl.DataFrame, topics: pl.DataFrame) -> None:
        require_distinct(recipients, ("customer_id",), f"{self.name}: recipients")
        require_distinct(topics, ("customer_id", "rank"), f"{self.name}: topics")
        outside = topics.filter(~pl.col("rank").is_between(1, self.topics)).height
        strangers = topics.join(recipients, on="customer_id", how="anti").height
        silent = recipients.join(topics.filter(pl.col("rank") == 1), on="customer_id", how="anti").height
        if outside or strangers or silent:
            raise CannotRender(
                f"{self.name}: {outside} topics have a rank outside 1 to {self.topics}, {strangers} belong to nobody "
                f"in the file, and {silent} people are asked about nothing. Run decide again."
            )
