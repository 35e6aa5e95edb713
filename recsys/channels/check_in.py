"""Whom to ask over one channel whether what we think they want still holds, and about what."""

from datetime import date
from pathlib import Path

import polars as pl

from recsys.channels.base import read_decisions, require_distinct
from recsys.channels.table_file import TableFile
from recsys.errors import CannotRender

CHECK_IN = "check_in_"
WITHOUT_ADDRESS = ("customer_id", "language", "country", "send_not_before", "send_not_after")
WITH_ADDRESS = ("customer_id", "email", "first_name", *WITHOUT_ADDRESS[1:])


class CheckInFile(TableFile):
    """One row per person who is asked, ordered by customer_id; `topic_1`, `why_1`, `reason_1` and so on.

    The most important topic is first; empty where there are fewer. Names and addresses as in the channel's own file.
    """

    exact = frozenset({"customer_id", "email"})

    def __init__(self, channel: str, recipient_columns: tuple[str, ...], topics: int, form: str = "csv") -> None:
        self.name = f"{CHECK_IN}{channel}"
        self.channel = channel
        self.topics = topics
        self.format = form
        self.recipient_columns = WITH_ADDRESS if "email" in recipient_columns else WITHOUT_ADDRESS

    @property
    def columns(self) -> tuple[str, ...]:
        slots = (f"{cell}_{slot}" for slot in range(1, self.topics + 1) for cell in ("topic", "why", "reason"))
        return (*self.recipient_columns, "run_date", *slots)

    def table(self, decisions: Path, run_date: date) -> pl.DataFrame:
        asked = questions(decisions, self.channel, self.name, self.topics, self.recipient_columns)
        return asked.with_columns(run_date=pl.lit(run_date, pl.Date)).select(self.columns)


def questions(decisions: Path, channel: str, name: str, topics: int, columns: tuple[str, ...]) -> pl.DataFrame:
    """Whom a channel asks, ordered by customer_id: these columns of the recipients, and `topic_1`, `why_1`, `reason_1`.

    Raises CannotRender when people and topics do not belong together; `name` is the file's, for the message.
    """
    ours = pl.col("channel") == channel
    recipients = read_decisions(decisions, "sync_check_in__recipients").filter(ours)
    asked = read_decisions(decisions, "sync_check_in__topics").filter(ours)
    _check(recipients, asked, name, topics)
    table = recipients.select(columns).sort("customer_id")
    for slot in range(1, topics + 1):
        cells = (pl.col(cell).alias(f"{cell}_{slot}") for cell in ("topic", "why", "reason"))
        of_slot = asked.filter(pl.col("rank") == slot).select("customer_id", *cells)
        table = table.join(of_slot, on="customer_id", how="left", maintain_order="left")
    return table


def _check(recipients: pl.DataFrame, asked: pl.DataFrame, name: str, topics: int) -> None:
    require_distinct(recipients, ("customer_id",), f"{name}: recipients")
    require_distinct(asked, ("customer_id", "rank"), f"{name}: topics")
    outside = asked.filter(~pl.col("rank").is_between(1, topics)).height
    strangers = asked.join(recipients, on="customer_id", how="anti").height
    silent = recipients.join(asked.filter(pl.col("rank") == 1), on="customer_id", how="anti").height
    if outside or strangers or silent:
        raise CannotRender(
            f"{name}: {outside} topics have a rank outside 1 to {topics}, {strangers} belong to nobody "
            f"in the file, and {silent} people are asked about nothing. Run decide again."
        )
