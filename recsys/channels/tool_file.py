"""What the files of all tools have in common: people with their slots, slice by slice, in the tool's own words.

A channel of a tool makes `<name>_<YYYYMMDD>.<format>` with tonight's people (all of them, or with `rows: delta` those
whose row changed), `<name>_remove_...` with the identifiers of who left, and `<name>_clear_...` with what was said
about their list emptied: no product left, and `rec_items`, the number of products in a row, 0. Import the last two
first. A shorter list than last night's leaves the last slots empty; where a tool does not let empty cells overwrite,
`rec_items` says how many slots count.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import polars as pl

from recsys.channels import delta
from recsys.channels.ahead import ahead
from recsys.channels.base import Kind, read_decisions
from recsys.channels.csv_file import as_cells
from recsys.channels.forms import read_rows
from recsys.channels.parts import Limits, Parts
from recsys.channels.recipients import Recipients
from recsys.channels.tool_check_in import ToolCheckIn
from recsys.channels.wording import Wording
from recsys.tables import write_parquet

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings
    from recsys.config import Shop

PERSON = (
    *("customer_id", "email", "phone", "first_name", "last_name", "language", "country", "timezone"),
    *("choices_applied", "send_not_before", "send_not_after", "run_date"),
)


class ToolFile(Kind):
    """One row per recipient ordered by customer_id. A subclass says how its tool calls things and what it takes."""

    identifiers: ClassVar[tuple[str, ...]] = ("email", "phone")
    fields: ClassVar[tuple[str, ...]] = PERSON[1:]
    own_fields: ClassVar[tuple[str, ...]] = ("first_name", "language", "country", "choices_applied")
    """What is said when the shop file does not choose, beside the identifier."""
    has_delta = True
    slot_parts: ClassVar[tuple[str, ...]] = ("id", "name", "reason", "url", "image_url", "price", "currency")
    beside: ClassVar[tuple[str, ...]] = ("remove", "clear")
    leaving: ClassVar[tuple[str, ...]] = (
        "Import the file _remove_ first: take those people out of the audience.",
        "Then the file _clear_: it says of them that there are 0 products, and names none. It subscribes nobody.",
        "Then the audience's own file.",
    )
    headings: ClassVar[Mapping[str, str]] = {}
    """Our name of a column -> the tool's, where it has another."""
    packing: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Forms in which a row is not a row of cells, and the columns that they have instead; see `packed`."""
    limits: ClassVar[Limits] = Limits()
    slice_rows: ClassVar[int] = 20_000
    """So many people are in memory at a time."""

    def __init__(self, settings: "ChannelSettings", shop: "Shop") -> None:
        self.settings = settings
        self.shop = shop
        self.name = settings.name
        self.format = settings.format
        self.identifier = settings.identifier
        self.options = self.Options(**settings.options)
        self.wording = Wording(shop.reasons, settings.language)

    @classmethod
    def of(cls, settings: "ChannelSettings", shop: "Shop") -> Self:
        return cls(settings, shop)

    @classmethod
    def default_fields(cls, contact_channel: str, identifier: str) -> list[str]:  # noqa: ARG003
        return [name for name in cls.own_fields if name in cls.fields]

    @classmethod
    def found_by(cls) -> dict[str, str]:
        ours = super().found_by()
        return {form(cls.headings.get(name, name)): name for name in ours for form in (str, str.upper)}

    # -- what the tool calls things

    def heading(self, name: str) -> str:
        """The tool's name of one of our columns, as in customer_id, first_name, items, rec_1_id, topic_1."""
        return self.headings.get(name, "rec_items" if name == "items" else name)

    @property
    def said(self) -> tuple[str, ...]:
        """Our names of the file's columns, the identifier first."""
        slots = (f"rec_{slot}_{part}" for slot in range(1, self.settings.slots + 1) for part in self.slot_parts)
        return (*self.settings.carries, "items", *slots)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.headed(self.said, self.format)

    def headed(self, names: tuple[str, ...], form: str) -> tuple[str, ...]:
        """The columns of a file of this form that says these of our columns."""
        return self.packing.get(form) or tuple(self.heading(name) for name in names)

    def adapted(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Texts by our names, changed to what the tool takes; as they are unless a subclass says otherwise."""
        return cells

    def table(self, cells: pl.DataFrame, form: str) -> pl.DataFrame:
        """Texts by our names as the tool's table: the columns that `headed` names."""
        if form in self.packing:
            return self.packed(cells, form)
        return cells.rename({name: self.heading(name) for name in cells.columns})

    def packed(self, cells: pl.DataFrame, form: str) -> pl.DataFrame:
        """Texts by our names as a table of a form in `packing`."""
        raise NotImplementedError

    def unpacked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A table of a form in `packing` as texts by our names."""
        raise NotImplementedError

    def read(self, path: Path) -> pl.DataFrame:
        rows = read_rows(path)
        if path.suffix[1:] in self.packing:
            return self.unpacked(rows)
        ours = {self.heading(name): name for name in (*PERSON, *self.said)}
        return rows.rename(ours, strict=False)

    # -- files

    def dated(self, run_date: date) -> str:
        """The date in the files' names."""
        return f"{run_date:%Y%m%d}"

    def stem(self, what: str, run_date: date) -> str:
        """A file's name without its end; `what` is empty for the audience's own."""
        return "_".join(part for part in (self.name, what, self.dated(run_date)) if part)

    def form(self, what: str) -> str:
        """In which form a file is: who left is a plain list of identifiers, whatever the audience's own file is."""
        return "csv" if what == "remove" and self.format not in {"csv", "txt"} else self.format

    def files(self, run_date: date) -> tuple[str, ...]:
        return tuple(f"{self.stem(what, run_date)}.{self.form(what)}" for what in ("", *self.beside))

    def render(self, decisions: Path, folder: Path, run_date: date, rows: Path | None = None) -> int:
        people = self.recipients(decisions, run_date)
        held = delta.held(decisions, self.name) if self.settings.rows == "delta" else None
        written, known = 0, [pl.DataFrame(schema=delta.STATE)]
        parts = Parts(folder, self.stem("", run_date), self.format, self.columns, self.limits)
        with parts, delta.hashing(decisions) as row_shas:
            for cells in ahead(self.slices(people)):
                table = self.table(cells.select(self.said), self.format)
                if rows is not None or held is not None:
                    known.append(self._known(cells, table, row_shas))
                if held is not None:
                    changed = delta.changed(known[-1], held)["customer_id"]
                    table = table.filter(cells["customer_id"].is_in(changed.implode()))
                written += table.height
                parts.add(table)
        self.render_beside(decisions, folder, run_date, people)
        if rows is not None:
            write_parquet(pl.concat(known), rows)
        return written

    def render_beside(self, decisions: Path, folder: Path, run_date: date, people: Recipients) -> None:
        """Write the files about who left; nobody is in them whose identifier tonight's people have."""
        gone = self.gone(decisions, people)
        for what in self.beside:
            about_list = [name for name in self.said if name.startswith(("rec_", "items", "choices_applied"))]
            names = (self.identifier, *(about_list if what == "clear" else ()))
            self.write(folder, self.stem(what, run_date), self.form(what), self.emptied(gone, names))

    def gone(self, decisions: Path, people: Recipients) -> pl.DataFrame:
        """The identifiers of who left, ordered; none that one of tonight's people has."""
        left = read_decisions(decisions, "sync_tool__removals").filter(pl.col("channel") == self.name)
        gone = left.select(self.identifier).drop_nulls().unique().sort(self.identifier)
        return gone.join(people.people, on=self.identifier, how="anti", maintain_order="left")

    def emptied(self, gone: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        """Rows of these of our columns that say nothing but the identifier, and that there are 0 products."""
        nothing = {"items": pl.lit("0")}
        return gone.select(
            pl.col(name) if name == self.identifier else nothing.get(name, pl.lit(None, pl.String)).alias(name)
            for name in names
        )

    def write(self, folder: Path, stem: str, form: str, cells: pl.DataFrame) -> None:
        """Write texts by our names, all at once, as one of the channel's files."""
        with Parts(folder, stem, form, self.headed(tuple(cells.columns), form), self.limits) as parts:
            parts.add(self.table(self.adapted(cells), form))

    # -- people

    def recipients(self, decisions: Path, run_date: date) -> Recipients:
        """Tonight's people with what is recommended to them."""
        return Recipients(decisions, self.name, run_date, self.settings.slots, self.identifier, self.wording)

    def slices(self, people: Recipients) -> Iterator[pl.DataFrame]:
        """`said`, and customer_id, as texts that the tool takes, some people at a time."""
        exact = {*("customer_id", "email", "phone"), *(name for name in self.said if name.endswith("_id"))}
        names = list(dict.fromkeys(("customer_id", *self.said)))
        for some in people.slices(self.slice_rows, self.slot_parts):
            yield self.adapted(as_cells(some.select(names), exact, self.name))

    def _known(
        self, cells: pl.DataFrame, table: pl.DataFrame, row_shas: Callable[[pl.DataFrame], pl.Series]
    ) -> pl.DataFrame:
        """What the tool knows once it has these rows, whatever the night's date is."""
        if "run_date" in self.said:
            undated = cells.with_columns(run_date=pl.lit(date.min.isoformat()))
            table = self.table(undated.select(self.said), self.format)
        nothing = pl.lit(None, pl.String)
        addresses = (pl.col(name) if name in self.said else nothing.alias(name) for name in ("email", "phone"))
        return cells.select("customer_id", *addresses).with_columns(row_sha=row_shas(table))

    def check_in(self, topics: int) -> ToolCheckIn:
        return ToolCheckIn(self, topics)
