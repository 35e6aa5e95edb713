"""Where a shop's tables come from, and what of them is taken in."""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from recsys.settings import Name, Settings

SqlExpression = Annotated[str, Field(min_length=1, max_length=4000)]


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
