"""The shop file: one YAML file that says where a company's data is and how its nights are to run.

Read once at the edge, checked on load, passed down. Paths in it are relative to the file itself.
"""

from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from recsys.channel_settings import Channel
from recsys.contact_settings import ONE_A_DAY, Cap, CheckIn, QuietHours
from recsys.contracts import CONTRACTS
from recsys.errors import ConfigError
from recsys.list_settings import Reasons, Variety
from recsys.model_settings import Evaluate, Recommend
from recsys.needs_settings import Needs
from recsys.settings import Name, Settings
from recsys.table_settings import Ingest, TableSource

CampaignName = Annotated[str, Field(pattern=r"^[^*]{0,200}\*?$", min_length=1)]
MAX_FILE_BYTES = 1_000_000
BESIDE = ("_remove", "_clear", "_add", "_optout", "_catalogue")
"""Ends of the names of files that lie beside an audience's own."""


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
