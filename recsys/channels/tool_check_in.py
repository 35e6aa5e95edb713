"""Whom to ask, as a file of the tool that a channel is for: its identifier, its headings, its form."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.channels.base import Channel
from recsys.channels.check_in import CHECK_IN, questions
from recsys.channels.csv_file import as_cells

if TYPE_CHECKING:
    from recsys.channels.tool_file import ToolFile

ASKED = ("customer_id", "email", "phone", "first_name", "language", "country", "send_not_before", "send_not_after")
"""What a check-in may say about a person; of it the channel's own fields leave."""


class ToolCheckIn(Channel):
    """One row per person who is asked, ordered by customer_id; `topic_1`, `why_1`, `reason_1` and so on."""

    def __init__(self, tool: "ToolFile", topics: int) -> None:
        self.tool = tool
        self.topics = topics
        self.name = f"{CHECK_IN}{tool.name}"

    @property
    def said(self) -> tuple[str, ...]:
        """Our names of the file's columns, the identifier first."""
        slots = (f"{cell}_{slot}" for slot in range(1, self.topics + 1) for cell in ("topic", "why", "reason"))
        return (*(name for name in self.tool.settings.carries if name in ASKED), *slots)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.tool.headed(self.said, self.tool.format)

    def files(self, run_date: date) -> tuple[str, ...]:
        return (f"{self.name}_{self.tool.dated(run_date)}.{self.tool.format}",)

    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        asked = questions(decisions, self.tool.name, self.name, self.topics, ASKED)
        cells = as_cells(asked.select(self.said), {"customer_id", "email", "phone"}, self.name)
        stem = self.files(run_date)[0].rpartition(".")[0]
        self.tool.write(folder, stem, self.tool.format, cells)
        return cells.height
