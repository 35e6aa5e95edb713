"""HubSpot: contacts as CSV, matched by `Email`, and the separate import of those who opted out.

Limits: 512 MB and 1,048,576 rows per file, the header counted as one; fewer than 1,000 columns. Empty cells overwrite
nothing: `rec_items` says how many slots count, and the clear file sets it to 0. `<name>_optout_<YYYYMMDD>.csv` has the
addresses of people who left because they said no; imported as an opt-out list it unsubscribes them from all e-mail.
Who said no and was never in a file is not in this one either: HubSpot does not have them from us, and importing an
address there would hand over that of somebody who objected.
"""

from datetime import date
from pathlib import Path
from typing import ClassVar

import polars as pl

from recsys.channels.base import read_decisions
from recsys.channels.parts import Limits
from recsys.channels.recipients import Recipients
from recsys.channels.tool_file import ToolFile
from recsys.vocabulary import Status

OBJECTIONS = (Status.SUPPRESSED.value, Status.NO_CONSENT.value, Status.ERASED.value)


class HubSpot(ToolFile):
    """One row per recipient, found by e-mail address."""

    kind = "hubspot"
    identifiers = ("email",)
    headings: ClassVar[dict[str, str]] = {
        "email": "Email",
        "phone": "Phone Number",
        "first_name": "First Name",
        "last_name": "Last Name",
        "language": "Preferred language",
        "country": "Country/Region",
        "timezone": "Time Zone",
    }
    limits = Limits(bytes=512_000_000, rows=1_048_575)
    leaving = (
        "Take the people of the file _remove_ out of your list first.",
        "Then the file _clear_, like the audience's own: it sets rec_items to 0.",
        "Then the audience's own file.",
    )
    steps = (
        "Contacts > Import > File from computer > One file, one object; contacts match by Email.",
        "An empty cell overwrites nothing: show slots 1 to rec_items only.",
        "The file _optout_ goes through Import > Opt-out list: it unsubscribes those addresses from all e-mail. It has "
        "who was in an earlier file and said no since; who never was in one is not handed over.",
    )

    def files(self, run_date: date) -> tuple[str, ...]:
        return (*super().files(run_date), f"{self.stem('optout', run_date)}.csv")

    def render_beside(self, decisions: Path, folder: Path, run_date: date, people: Recipients) -> None:
        super().render_beside(decisions, folder, run_date, people)
        left = read_decisions(decisions, "sync_tool__removals").filter(
            pl.col("channel") == self.name, pl.col("reason").is_in(OBJECTIONS)
        )
        gone = self.gone(decisions, people).join(left, on="email", how="semi", maintain_order="left")
        self.write(folder, self.stem("optout", run_date), "csv", gone.select("email"))
