"""The interface of a channel: decisions in, finished files out."""

from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import polars as pl

from recsys.errors import CannotRender, StageInputMissing
from recsys.settings import Settings
from recsys.vocabulary import ContactChannel

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings
    from recsys.config import Shop

RECOMMENDATIONS = "recommendations"
CHECK_IN_MOMENT = "check_in"
ADDRESS: dict[str, str] = {ContactChannel.EMAIL: "email", ContactChannel.SMS: "phone"}
"""Contact channels that lead to an address, and which."""


class Channel(ABC):
    """One audience; subclasses are its kinds. `name` is the audience's folder and the start of its files' names."""

    name: str

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of the file in their order, the same for every night and however many rows there are."""

    @abstractmethod
    def files(self, run_date: date) -> tuple[str, ...]:
        """Names of the files that a night must have of this audience, its own first."""

    @abstractmethod
    def render(self, decisions: Path, folder: Path, run_date: date) -> int:
        """Write the finished file of this audience into `folder` and say how many rows it has.

        Reads `decisions/*.parquet` and nothing else. No rows give a file without rows, never no file.
        Raises StageInputMissing without decisions, and CannotRender when they do not make a valid file.
        """


class NoOptions(Settings):
    """A kind that has no options of its own."""


class Kind(Channel):
    """A channel that the shop file configures. What the class says of itself is what its section may ask for."""

    kind: ClassVar[str]
    tables: ClassVar[str] = "tool"
    """It reads `sync_<tables>__recipients`, `__items` and `__removals`."""
    formats: ClassVar[tuple[str, ...]] = ("csv",)
    """The first is the default; each is also the end of the files' names."""
    contact_channels: ClassVar[tuple[ContactChannel, ...]] = (ContactChannel.EMAIL,)
    identifiers: ClassVar[tuple[str, ...]] = ("customer_id",)
    """Of customer_id, email and phone; the first is the default."""
    fields: ClassVar[tuple[str, ...]] = ()
    """What may leave about a recipient beside the identifier. Nothing else ever does."""
    moments: ClassVar[tuple[str, ...]] = (RECOMMENDATIONS, CHECK_IN_MOMENT)
    default_moments: ClassVar[tuple[str, ...]] = (RECOMMENDATIONS,)
    has_delta: ClassVar[bool] = False
    """Whether its files may hold changed rows alone. `render` then also takes `rows`, a path to which it writes, after
    the files, what the tool knows once it has them: customer_id, `email` and `phone` as they stand in the file, null
    where it has none, and row_sha (`recsys.channels.delta.STATE`).
    """
    shows_products: ClassVar[bool] = True
    """Whether anybody sees the recommended products by its files; else they are no products that somebody was sent."""
    steps: ClassVar[tuple[str, ...]] = ("Import it into your tool: UTF-8, column names in the first line.",)
    """How a person brings the files into the tool, as the audience page says it."""
    leaving: ClassVar[tuple[str, ...]] = (
        "Import the file _remove_ first: take those people out of the audience, at the address in their row if it has "
        "one.",
        "Then, if your tool keeps what it was sent, the file _clear_: map who it is and the rec_ columns only, and let "
        "empty cells overwrite; it wipes their old recommendations and subscribes nobody.",
        "Then the audience's own file.",
    )
    """How the files about those who left are imported, said before `steps`."""
    Options: ClassVar[type[Settings]] = NoOptions

    @classmethod
    @abstractmethod
    def of(cls, settings: "ChannelSettings", shop: "Shop") -> Self:
        """The channel as a shop configures it."""

    @classmethod
    def default_identifier(cls, contact_channel: str) -> str:
        """What the tool knows people by when the shop file does not say."""
        first, address = cls.identifiers[0], ADDRESS.get(contact_channel)
        return address if first in ADDRESS.values() and address in cls.identifiers else first

    @classmethod
    def default_fields(cls, contact_channel: str, identifier: str) -> list[str]:  # noqa: ARG003
        """What is said about a recipient when the shop file does not choose."""
        return list(cls.fields)

    @classmethod
    def address_kind(cls, identifier: str) -> str | None:
        """Which address rows are found by, so that a changed one is a departure; None where ids are stable."""
        return identifier if identifier in {"email", "phone"} else None

    @classmethod
    def found_by(cls) -> dict[str, str]:
        """Header in one of its files, whatever the form -> customer_id, email or phone, what people are found by."""
        return {name: name for name in ("customer_id", "email", "phone")}

    @classmethod
    def check(cls, settings: "ChannelSettings") -> None:
        """Raise ValueError, with field, value and what is allowed, when settings do not fit together.

        People are found by an address only where it is the one that their consent is for.
        """
        wanted = {address: channel for channel, address in ADDRESS.items()}.get(settings.identifier)
        if wanted is not None and settings.contact_channel != wanted:
            raise ValueError(f"identifier is '{settings.identifier}', which goes with contact_channel {wanted}")

    def check_in(self, topics: int) -> Channel | None:
        """The check-in file that belongs to it, with so many topics; None for kinds without."""

    def read(self, path: Path) -> pl.DataFrame:
        """A finished or published file of this channel by our own names: customer_id, email, phone, rec_1_id and so on.

        One row per person, texts only; columns that the file does not have are not there.
        """
        raise NotImplementedError


def read_decisions(decisions: Path, table: str) -> pl.DataFrame:
    """One exported table as `decide` left it. Raises StageInputMissing when there is none."""
    return scan_decisions(decisions, table).collect()


def scan_decisions(decisions: Path, table: str) -> pl.LazyFrame:
    """`read_decisions` of a table that is too large to be held at once."""
    path = decisions / f"{table}.parquet"
    if not path.is_file():
        raise StageInputMissing(f"{path}: not there. Run decide first.")
    return pl.scan_parquet(path)


def require_distinct(frame: pl.DataFrame, key: tuple[str, ...], what: str) -> None:
    """Raise CannotRender when two rows share the key or a part of it is missing."""
    repeated = frame.height - frame.select(pl.struct(key).n_unique()).item() if frame.height else 0
    missing = frame.select(pl.any_horizontal(pl.col(key).is_null()).sum()).item()
    if repeated or missing:
        raise CannotRender(
            f"{what}: {repeated} rows repeat and {missing} rows lack {' and '.join(key)}. Run decide again."
        )
