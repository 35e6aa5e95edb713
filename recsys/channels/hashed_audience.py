"""Audiences of advertising platforms: hashed addresses and nothing that is recommended, one file per consent signal.

`<name>_personalised_<YYYYMMDD>.csv` holds who also allows personalisation, `<name>_unpersonalised_...` everybody else
in the audience: a platform takes one consent signal per file or request. With `rows: delta` the two are called
`<name>_personalised_add_...` and `<name>_unpersonalised_add_...`, and hold what changed. Beside them lie
`<name>_personalised_remove_...` and `<name>_unpersonalised_remove_...`, with what is to be taken out of either; import
these first.

Every hash is in one file once. Of customers who share an address the first by customer_id has it in the row, and one
who does not allow personalisation comes before all who do: one no outweighs every yes.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from recsys.channels import delta
from recsys.channels.base import RECOMMENDATIONS
from recsys.channels.forms import read_rows
from recsys.channels.hashing import define_hash_forms
from recsys.channels.parts import Parts
from recsys.channels.tool_file import ToolFile
from recsys.database import connect, copy_to_parquet, literal
from recsys.errors import CannotRender, StageInputMissing
from recsys.tables import write_parquet
from recsys.vocabulary import ContactChannel

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings

SIGNALS = {"personalised": True, "unpersonalised": False}
"""What the files are called -> whether the people in them allow personalisation."""
IDENTIFIERS = ("email", "phone")


class HashedAudience(ToolFile):
    """People by the SHA-256 of their addresses. A subclass says by whose rules, and how the platform calls things."""

    contact_channels = (ContactChannel.ADS,)
    identifiers: ClassVar[tuple[str, ...]] = ("email",)
    fields: ClassVar[tuple[str, ...]] = IDENTIFIERS
    own_fields = IDENTIFIERS
    moments = (RECOMMENDATIONS,)
    shows_products = False
    leaving = ()

    @classmethod
    def address_kind(cls, identifier: str) -> str:  # noqa: ARG003
        return "either"

    @classmethod
    def check(cls, settings: "ChannelSettings") -> None:
        if not set(IDENTIFIERS) <= set(settings.carries):
            raise ValueError("fields: an audience is matched by email and phone; name both, or leave fields out")

    def check_in(self, topics: int) -> None:  # type: ignore[override]  # noqa: ARG002
        return None

    @property
    def hash_forms(self) -> Mapping[str, str]:
        """Our name of each column that a row may have -> the form of `recsys.channels.hashing` that is hashed."""
        raise NotImplementedError

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(name for name in self.hash_forms if name in self.settings.carries)

    def files(self, run_date: date) -> tuple[str, ...]:
        names = [self._called(signal) for signal in SIGNALS] + [f"{signal}_remove" for signal in SIGNALS]
        return tuple(f"{self.stem(name, run_date)}.{self.format}" for name in names)

    def read(self, path: Path) -> pl.DataFrame:
        return read_rows(path).rename({self.heading(name): name for name in self.said}, strict=False)

    def render(self, decisions: Path, folder: Path, run_date: date, rows: Path | None = None) -> int:
        people = self.hashed(decisions)
        held = delta.held(decisions, self.name)
        known = self._state(people, decisions)
        changed = delta.changed(known, held)
        people = people.with_columns(is_changed=pl.col("customer_id").is_in(changed["customer_id"].implode()))
        written = 0
        for signal, is_personalised in SIGNALS.items():
            named = people.filter(pl.any_horizontal(pl.col(IDENTIFIERS).is_not_null()))
            named = named.filter(pl.col("is_personalised") == is_personalised)
            if self.settings.rows == "delta":
                named = named.filter("is_changed")
            written += named.height
            self._write(folder, self.stem(self._called(signal), run_date), named.select(self.said))
            gone = _gone(held, people, is_personalised=is_personalised)
            self._write(folder, self.stem(f"{signal}_remove", run_date), gone)
        if rows is not None:
            write_parquet(known, rows)
        return written

    def hashed(self, decisions: Path) -> pl.DataFrame:
        """customer_id, is_personalised and `said`, hashed, of tonight's people, ordered by customer_id.

        An address that another row has is null. Raises StageInputMissing without decisions, and CannotRender when a
        person repeats or has no address.
        """
        path = decisions / "sync_tool__recipients.parquet"
        if not path.is_file():
            raise StageInputMissing(f"{path}: not there. Run decide first.")
        cells = ", ".join(f"sha256({form}({name})) AS {name}" for name, form in self.hash_forms.items())
        claimed = ", ".join(
            f"CASE WHEN row_number() OVER (PARTITION BY {name} ORDER BY is_personalised, customer_id) = 1 "
            f"THEN {name} END AS {name}"
            for name in IDENTIFIERS
        )
        query = f"""
            WITH people AS (
                SELECT customer_id, coalesce(may_personalise, false) AS is_personalised, {cells},
                    email IS NULL AND phone IS NULL AS is_nobody
                FROM (FROM read_parquet({literal(str(path))}) WHERE channel = {literal(self.name)})
            )
            SELECT * REPLACE ({claimed}) FROM people ORDER BY customer_id
        """
        with TemporaryDirectory(dir=decisions, prefix=".hashed-") as scratch:
            made = Path(scratch) / "people.parquet"
            with connect(folders=[decisions]) as con:
                define_hash_forms(con)
                copy_to_parquet(con, query, made)
            people = pl.read_parquet(made)
        repeated, nameless = people.height - people["customer_id"].n_unique(), people["is_nobody"].sum()
        if repeated or nameless:
            raise CannotRender(
                f"{self.name}: {repeated} recipients repeat and {nameless} have no address. Run decide again."
            )
        return people.select("customer_id", "is_personalised", *self.said)

    def _called(self, signal: str) -> str:
        return f"{signal}_add" if self.settings.rows == "delta" else signal

    def _state(self, people: pl.DataFrame, beside: Path) -> pl.DataFrame:
        with delta.hashing(beside) as row_shas:
            row_sha = row_shas(people.select("is_personalised", *self.said))
        return people.select("customer_id", *IDENTIFIERS).with_columns(row_sha=row_sha)

    def _write(self, folder: Path, stem: str, cells: pl.DataFrame) -> None:
        with Parts(folder, stem, self.format, self.headed(tuple(cells.columns), self.format), self.limits) as parts:
            for some in _sliced(cells, self.slice_rows):
                parts.add(self.table(some, self.format))


def _sliced(rows: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    return (rows.slice(start, size) for start in range(0, rows.height, size))


def _gone(held: pl.DataFrame, people: pl.DataFrame, *, is_personalised: bool) -> pl.DataFrame:
    """email and phone, one of them in each row: what the audience of a consent signal may hold and must not.

    That is every hash held that nobody has tonight, and every one whose row has changed and is of the other signal now.
    """
    stays = (pl.col("is_personalised") == is_personalised) | ~pl.col("is_changed")
    columns = []
    for name in IDENTIFIERS:
        known = people.filter(stays).select(name)
        gone = held.select(name).drop_nulls().unique().join(known, on=name, how="anti").sort(name)
        columns.append(
            gone.select(pl.col(name) if one == name else pl.lit(None, pl.String).alias(one) for one in IDENTIFIERS)
        )
    return pl.concat(columns)
