"""The shop file: one YAML file that says where a company's data is and how its nights are to run.

Read once at the edge, checked on load, passed down. Paths in it are relative to the file itself.
"""

import re
from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from recsys.channel_settings import Channel
from recsys.contracts import CONTRACTS
from recsys.errors import ConfigError
from recsys.list_settings import Reasons, Variety
from recsys.settings import Name, Settings
from recsys.vocabulary import ContactChannel

CampaignName = Annotated[str, Field(pattern=r"^[^*]{0,200}\*?$", min_length=1)]
SqlExpression = Annotated[str, Field(min_length=1, max_length=4000)]
MAX_FILE_BYTES = 1_000_000
BESIDE = ("_remove", "_clear", "_add", "_optout", "_catalogue")
"""Ends of the names of files that lie beside an audience's own."""


class CsvDialect(Settings):
    """How a CSV file is written. Nothing is guessed: the header must match byte for byte."""

    header: list[str] = Field(min_length=1, description="Column names exactly as in the file's first line")
    delimiter: str = Field(",", min_length=1, max_length=1, description="Between cells")
    quote: str = Field('"', min_length=1, max_length=1, description="Around cells that hold a delimiter or a newline")
    escape: str = Field('"', min_length=1, max_length=1, description="Before a quote inside a quoted cell")
    encoding: Literal["utf-8", "latin-1"] = Field("utf-8", description="utf-8 or latin-1")
    final_newline: bool = Field(True, description="The last line ends with a newline; false accepts files without")

    @field_validator("header")
    @classmethod
    def _distinct(cls, header: list[str]) -> list[str]:
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise ValueError(f"column names must differ; repeated: {', '.join(repeated)}")
        return header


class TableSource(Settings):
    """Where one contract table comes from: files, another table's files, or a database query."""

    files: list[str] = Field(default_factory=list, description="Globs relative to the shop file")
    same_files_as: Name | None = Field(None, description="Derive this table from another table's files")
    query: str | None = Field(None, description="SQL for the database named in `database_env`; $1 is the night's end")
    database_env: str | None = Field(
        None, pattern=r"^[A-Z][A-Z0-9_]*$", description="Environment variable that holds the database's URI"
    )
    format: Literal["csv", "parquet", "jsonl"] = Field("csv", description="csv, parquet or jsonl; gzip is noticed")
    csv: CsvDialect | None = None
    fields: list[str] = Field(
        default_factory=list, description="jsonl: every field that the objects may have; each is read as text"
    )
    file_date: str | None = Field(
        None, description="Regular expression over the path; its one group is the file's date, YYYY-MM-DD"
    )
    delivery: Literal["changes", "full"] = Field(
        "changes", description="changes: every file adds to or updates the others; full: the newest file is everything"
    )
    columns: dict[str, SqlExpression] = Field(min_length=1, description="One DuckDB SQL expression per contract column")
    skip: dict[Name, SqlExpression] = Field(
        default_factory=dict, description="Named conditions; rows that meet one are left out and counted under its name"
    )
    duplicates: Literal["quarantine", "last"] = Field(
        "quarantine", description="Rows of one file that share the key: quarantine the later ones, or keep the last"
    )
    max_bad_share: float | None = Field(None, ge=0, le=1, description="Overrides ingest.max_bad_share for this table")
    max_age_hours: float | None = Field(
        None, gt=0, description="Consents, suppressions: overrides ingest.max_permission_age_hours; .inf takes any age"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "TableSource":
        origins = [name for name in ("files", "same_files_as", "query") if getattr(self, name)]
        if len(origins) != 1:
            given = ", ".join(origins) or "none"
            raise ValueError(f"exactly one of files, same_files_as, query must be given; given: {given}")
        if self.query and not self.database_env:
            raise ValueError("query needs database_env, the environment variable that holds the database's URI")
        if self.files and self.format == "csv" and self.csv is None:
            raise ValueError("format csv needs a csv section with the header and dialect")
        if self.files and self.delivery == "full" and self.file_date is None:
            raise ValueError("delivery full needs file_date: without it nobody knows which file is the newest")
        if self.format != "csv" and self.csv is not None:
            raise ValueError(f"a csv section does not go with format {self.format}")
        if self.files and (self.format == "jsonl") != bool(self.fields):
            raise ValueError("format jsonl, and no other, needs fields: every field that the objects may have")
        if self.file_date is not None:
            try:
                groups = re.compile(self.file_date).groups
            except re.error as error:
                raise ValueError(f"file_date is not a regular expression: {error}") from None
            if groups != 1:
                raise ValueError(f"file_date needs exactly one group, it has {groups}")
        return self


class Ingest(Settings):
    """Limits for what is taken in."""

    max_bad_share: float = Field(0.005, ge=0, le=1, description="Share of bad rows per table and night that stops it")
    max_permission_age_hours: float = Field(
        36,
        gt=0,
        description="How old the newest file of consents and of suppressions may be at the night's end. A file is as "
        "old as the day it is dated: the night's own is 24 hours old, and that of the day before 48, too old",
    )
    accept_smaller_on: list[date] = Field(
        default_factory=list,
        description="Nights on which consents or suppressions that the last published night had may be gone",
    )


class Permission(Settings):
    """Who may not be written to or learnt from, whatever they agreed to."""

    min_age: int = Field(
        16, ge=1, le=100, description="Who may still be younger on the night's date, as far as the birth year tells"
    )
    max_share_of_nobody: float = Field(
        0.5, ge=0, le=1, description="Share of suppressions that may match no known customer before the gate warns"
    )


class Preferences(Settings):
    """What customers chose in the preference centre: how much it moves, and for how long.

    A no (not_interested, less_like_this) does not age. The defaults belong together: a year holds one round of seasons
    and three half-lives, and what is left of an interest then, an eighth, moves hardly anything.
    """

    half_life_days: int = Field(120, ge=1, description="A stated interest this old lifts half as much as a new one")
    expire_days: int = Field(365, ge=1, description="A stated interest this old drives no slot any more")
    interested_factor: float = Field(
        2.0, ge=1, le=100, description="What just stated interest multiplies scores of the topic's products by"
    )
    less_like_this_factor: float = Field(
        0.1, gt=0, lt=1, description="What less_like_this multiplies scores of the topic's products by"
    )


class Weights(Settings):
    """How much one interaction of each kind counts before ageing."""

    order: float = Field(1.0, ge=0, description="An order that has the product")
    cart: float = Field(0.3, ge=0, description="Put into the cart")
    wishlist: float = Field(0.3, ge=0, description="Put on the wishlist")
    view: float = Field(0.1, ge=0, description="Looked at")


class Recommend(Settings):
    """The model and the lists."""

    k: int = Field(10, ge=1, le=100, description="Products per customer")
    factors: int = Field(64, ge=1, le=1024, description="Numbers that describe one customer's taste")
    iterations: int = Field(15, ge=1, le=200, description="Rounds of training")
    regularization: float = Field(0.01, ge=0, description="Pulls tastes towards zero; more where data is thin")
    alpha: float = Field(
        1.0, gt=0, description="Confidence is alpha x weight; right for shops, far higher for check-ins"
    )
    half_life_days: int = Field(60, ge=1, description="An interaction this old counts half")
    window_days: int | None = Field(None, ge=1, description="Older interactions count nothing; left out: all count")
    popular_days: int = Field(28, ge=1, description="Window of the popular list")
    country_buyers: int | None = Field(
        200,
        ge=1,
        description="A country with so many buyers in that window has a popular list of its own; null: none has",
    )
    weights: Weights = Weights()
    seed: int = Field(42, ge=0, description="Where training starts; the same seed gives the same lists")
    threads: int = Field(0, ge=0, description="0: all cores; the result is the same")


class Needs(Settings):
    """When a need is over, comes back or has narrowed a list; where the defaults come from: docs/decisions/needs.md."""

    category_levels: int = Field(2, ge=1, le=10, description="How many steps of the category path make one need")
    min_buyers: int = Field(20, ge=1, description="Fewer observed buyers than this, and a category stays unknown")
    observe_days: int = Field(180, ge=1, le=3650, description="How long after it a purchase must have been watched")
    burst_days: int = Field(45, ge=1, le=365, description="Purchases at most this far apart belong to one burst")
    quiet_share: float = Field(
        0.95, gt=0, le=1, description="A burst is over when it has paused longer than this share of bursts ever do"
    )
    one_off_share: float = Field(
        0.85, gt=0.5, le=1, description="A category is one-off when at least this share of its buyers never come back"
    )
    again_share: float = Field(
        0.1, gt=0, le=1, description="Replenishable when at least this share of buyers buy the same product again"
    )
    max_irregularity: float = Field(
        1.0, gt=0, description="And when the middle half of their gaps is no wider than this x the median gap"
    )
    min_gaps: int = Field(20, ge=1, description="Fewer repurchases than this, and a product has no rhythm of its own")
    due_from: float = Field(0.6, ge=0, le=1, description="A product is due again after this share of its rhythm")
    due_until: float = Field(1.5, ge=1, description="And no longer lifted after this share of it")
    due_lift: float = Field(5.0, ge=1, le=10, description="The score of a product that is due is multiplied by this")
    follows_days: int = Field(90, ge=1, le=3650, description="How long what usually follows a finished need is lifted")
    follows_min_buyers: int = Field(30, ge=1, description="So many must have turned to it for it to count as following")
    follows_min_lift: float = Field(1.5, ge=1, description="And so many times as many after the need as before it")
    follows_lift: float = Field(1.5, ge=1, le=10, description="The score of what follows is multiplied by this")
    narrow_share: float = Field(
        0.8, gt=0, le=1, description="A person's sent items are narrow when one top category has more than this share"
    )
    narrow_min_items: int = Field(
        15,
        ge=1,
        description="Fewer items sent in 30 nights are not judged; one counts once a night, over all channels",
    )
    narrow_at_most: int = Field(3, ge=1, le=100, description="So many products of that category stay in a narrow list")

    @model_validator(mode="after")
    def _watched_long_enough(self) -> "Needs":
        if self.observe_days <= self.burst_days:
            raise ValueError(
                f"observe_days is {self.observe_days}, allowed: more than burst_days = {self.burst_days}; "
                "within a burst nobody can be seen to stay away"
            )
        return self


class Evaluate(Settings):
    """How it is measured whether the lists are good, and individual."""

    nightly: bool = Field(True, description="Off: the night is as long as it must be, and nobody knows")
    window_days: int = Field(
        28, ge=1, le=365, description="Lists as of so many days ago are compared with what was bought since"
    )
    trials: int = Field(12, ge=1, le=1000, description="Settings of the model that `recsys tune` tries")
    folds: int = Field(4, ge=2, le=12, description="Closed windows that `recsys tune` looks at, the last one to decide")


class Cap(Settings):
    """How many messages one person may get; all hold. Without any `caps`: one per contact channel and day."""

    contact_channel: ContactChannel | None = Field(
        None, description="Messages of which contact channel; left out: of all of them together"
    )
    days: int | None = Field(
        None,
        ge=1,
        le=90,
        description="Counted over so many days of the person's own calendar, the campaign day the last",
    )
    hours: int | None = Field(
        None, ge=1, le=2160, description="Or over so many hours back from the earliest moment the message may go out"
    )
    most: int = Field(ge=1, description="Messages in this window, at most, tonight's included")

    @model_validator(mode="after")
    def _one_window(self) -> "Cap":
        if (self.days is None) == (self.hours is None):
            raise ValueError("exactly one of days, hours must be given")
        return self


ONE_A_DAY = tuple(Cap(contact_channel=channel, days=1, most=1) for channel in ContactChannel)


class QuietHours(Settings):
    """When nobody is to be disturbed, by the person's own clock; of several that apply each one holds."""

    contact_channel: ContactChannel | None = Field(
        None, description="For messages of which contact channel; left out: of every one"
    )
    begins: str = Field(alias="from", description='Time of day, as in "21:00"; "00:00" is the end of the day')
    ends: str = Field(alias="to", description='Time of day of the next morning, as in "08:00"')

    @field_validator("begins", "ends", mode="before")
    @classmethod
    def _time_of_day(cls, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise ValueError('allowed: a time of day in quotes, from "00:00" to "23:59"')
        return value

    @model_validator(mode="after")
    def _leave_a_day(self) -> "QuietHours":
        if self.begins != "00:00" and self.begins <= self.ends:
            raise ValueError(f"quiet hours go over midnight: from ({self.begins}) must be later than to ({self.ends})")
        return self


class CheckIn(Settings):
    """Whom to ask whether what we think they want still holds, in the nightly check-in files."""

    every_days: int = Field(
        90, ge=1, le=90, description="Nobody is asked twice within so many days; the ledger reaches 90 nights back"
    )
    topics: int = Field(3, ge=1, le=10, description="Topics per person, at most")
    faded_below: float = Field(
        0.5, gt=0, le=1, description="A stated interest is asked about once its strength, 1 when new, is below this"
    )
    lately_days: int = Field(
        90, ge=1, le=3650, description="Expired interests and finished needs are asked about for so many days"
    )


class Gate(Settings):
    """Bounds the night is held to."""

    min_recipients: int = Field(1, ge=0, description="Per channel, while there are fewer than 14 earlier nights")
    max_recipients: int = Field(100_000_000, ge=1, description="Per channel, likewise")
    min_coverage: float = Field(0.5, ge=0, le=1, description="Share of customers that must have a list")


class Shop(Settings):
    """A whole shop file. `path` is where it was read from."""

    shop: Name = Field(description="The shop's name: small letters, digits, - and _")
    timezone: str = Field("UTC", description="The brand's time zone: a night ends at its midnight")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217; of products that name none")
    data_root: str = Field(description="Folder for everything the nights make, relative to the shop file")
    sandbox: list[str] = Field(["."], description="Folders that source files may lie in, relative to the shop file")
    tables: dict[str, TableSource]
    ingest: Ingest = Ingest()
    permission: Permission = Permission()
    preferences: Preferences = Preferences()
    recommend: Recommend = Recommend()
    needs: Needs = Needs()
    evaluate: Evaluate = Evaluate()
    variety: Variety = Variety()
    reasons: Reasons = Reasons()
    channels: list[Channel] = Field(min_length=1)
    check_in: CheckIn = CheckIn()
    caps: list[Cap] = list(ONE_A_DAY)  # noqa: RUF012
    caps_own_campaigns: list[CampaignName] = Field(
        default_factory=list,
        description="Campaigns in contacts that are our own messages, reported back by the tool: the ledger counts "
        "them already. A final * stands for anything",
    )
    quiet_hours: list[QuietHours] = []  # noqa: RUF012
    control_share: float = Field(
        0.0, ge=0, lt=1, description="Share of customers who are never contacted, always the same, to compare with"
    )
    gate: Gate = Gate()
    path: Path = Field(exclude=True)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("not an IANA time zone name such as Europe/Berlin")
        return zone

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, tables: dict[str, TableSource]) -> dict[str, TableSource]:
        unknown = sorted(set(tables) - set(CONTRACTS))
        if unknown:
            raise ValueError(f"unknown table {', '.join(unknown)}; allowed: {', '.join(sorted(CONTRACTS))}")
        missing = sorted(name for name, contract in CONTRACTS.items() if contract.required and name not in tables)
        if missing:
            raise ValueError(f"required table missing: {', '.join(missing)}")
        for name, source in tables.items():
            contract = CONTRACTS[name]
            unknown = sorted(set(source.columns) - set(contract.column_names))
            if unknown:
                raise ValueError(
                    f"{name}.columns: unknown column {', '.join(unknown)}; allowed: {', '.join(contract.column_names)}"
                )
            absent = sorted(c.name for c in contract.columns if c.required and c.name not in source.columns)
            if absent:
                raise ValueError(f"{name}.columns: required column missing: {', '.join(absent)}")
            for group in contract.any_of:
                if not set(group) & set(source.columns):
                    raise ValueError(f"{name}.columns: at least one of {', '.join(group)} is needed")
            origin = source.same_files_as
            if origin is not None and (origin not in tables or not tables[origin].files):
                raise ValueError(f"{name}.same_files_as: '{origin}' is not a table with files of its own")
        return tables

    @model_validator(mode="after")
    def _channels_fit(self) -> "Shop":
        names = [channel.name for channel in self.channels]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"channels: names must differ; repeated: {', '.join(repeated)}")
        if "catalogue" in names:
            raise ValueError("channels: the name catalogue is taken by the products file; choose another")
        taken = sorted(name for name in names if name.startswith("check_in_") or name.endswith(BESIDE))
        if taken:
            raise ValueError(
                f"channels: {', '.join(taken)}: names that begin with check_in_ or end with {', '.join(BESIDE)} are "
                "those of the files beside an audience; choose another"
            )
        for channel in self.channels:
            if channel.slots > self.recommend.k:
                raise ValueError(
                    f"channels: {channel.name}: slots is {channel.slots}, "
                    f"allowed: at most recommend.k = {self.recommend.k}"
                )
            if channel.language is not None and channel.language not in self.reasons.sentences:
                raise ValueError(
                    f"channels: {channel.name}: language is '{channel.language}', allowed: one with sentences "
                    f"({', '.join(self.reasons.sentences)}); write others under reasons.templates"
                )
            if channel.min_items > channel.slots:
                raise ValueError(
                    f"channels: {channel.name}: min_items is {channel.min_items}, "
                    f"allowed: at most slots = {channel.slots}"
                )
        return self

    @model_validator(mode="after")
    def _targets_lie_outside(self) -> "Shop":
        for channel in self.channels:
            folder = channel.deliver.local_folder if channel.deliver else None
            if folder is not None and folder.resolve().is_relative_to(self.root):
                raise ValueError(
                    f"channels: {channel.name}: deliver.to lies below data_root, whose folders nothing else writes to; "
                    "name a folder outside"
                )
        return self

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def root(self) -> Path:
        """Absolute folder for everything the nights make."""
        return (self.folder / self.data_root).resolve()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def night_end(self, run_date: date) -> datetime:
        """The first moment, naive UTC, that no longer counts for the night of `run_date`."""
        midnight = datetime.combine(run_date + timedelta(days=1), time(), tzinfo=self.zone)
        return midnight.astimezone(UTC).replace(tzinfo=None)

    def source(self, table: str) -> TableSource:
        """The table's source with `same_files_as` followed: files, format, dialect and file date of the other one."""
        source = self.tables[table]
        if source.same_files_as is None:
            return source
        origin = self.tables[source.same_files_as]
        return source.model_copy(
            update={
                "files": origin.files,
                "format": origin.format,
                "csv": origin.csv,
                "fields": origin.fields,
                "file_date": source.file_date or origin.file_date,
            }
        )


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe types; a field that is given twice, or whose name is no text, is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for name, (key, _) in zip(names, node.value, strict=False):
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(None, None, f"field name {name!r} is not text", key.start_mark)
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"field {name!r} is given twice", key.start_mark)
        return super().construct_mapping(node, deep)


def load_shop(path: Path | str) -> Shop:
    """Read and check a shop file.

    Raises ConfigError naming the file and, for each fault, the field, the value and what is allowed.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise ConfigError(f"{path}: there is no shop file here. See examples/ for one to start from.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes; this is not a shop file.")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text. Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected fields such as shop, currency, data_root, tables, channels.")
    if "path" in content:
        raise ConfigError(f"{path}: field 'path' is not allowed here.")
    try:
        return Shop(**content, path=path)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"]) or "(whole file)"
        message = fault["msg"].removeprefix("Value error, ")
        value = fault["input"]
        shown = "" if isinstance(value, dict | list | Shop) or fault["type"] == "missing" else f" is {value!r}:"
        if fault["type"] == "extra_forbidden":
            shown, message = "", "there is no such field"
        lines.append(f"{field}{shown} {message}" if shown else f"{field}: {message}")
    heading = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    return f"{heading}\n  " + "\n  ".join(lines)
