"""Which linter reads a file: by kind of tool, what the file is for, and the ending of its name."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import duckdb

from recsys.errors import ConfigError
from recsys.lint.files_of_ours import forms_of
from recsys.lint.meta_custom_audiences import audience_name_findings
from recsys.lint.report import Finding, Outcome, Report

WHATS = ("audience", "add", "remove", "clear", "optout", "catalogue", "check_in")
"""What a file can be for; `add` is an audience under another name."""
OURS = ("email_file", "crm_file")
TOOLS = ("klaviyo", "braze", "sfmc", "mailchimp", "hubspot", "google_customer_match", "meta_custom_audiences")
ENTRY_POINTS = "recsys.linters"
"""A company's own kind -> a callable (path, what) that gives a Report or the findings of one."""
_DATE = re.compile(r"_\d{8}(_[1-9]\d*)?$")
_PURPOSES = re.compile(r"_(audience|add|remove|clear|optout|catalogue)$")


class Reader(Protocol):
    """Reads one file and says what is wrong with it."""

    def lint(self, path: Path) -> Outcome:
        """Rows and findings; reads, and changes nothing."""
        ...


def kinds() -> tuple[str, ...]:
    """Every kind that has a linter: the product's, then those of installed packages."""
    return (*OURS, *TOOLS, *sorted(entry_points(group=ENTRY_POINTS).names))


def lint(path: Path, kind: str, what: str = "audience") -> Report:
    """Everything that would keep a tool from taking a file as it is; no findings, no fault.

    Reads the file's bytes in blocks and its cells through DuckDB, and never changes it. Of the name only what the tool
    looks at counts: its ending, and at Meta the audience's name. Raises ConfigError for a kind or purpose that has no
    linter, and for a path that is no file.
    """
    if what not in WHATS:
        raise ConfigError(f"{what}: no purpose of a file; use one of {', '.join(WHATS)}")
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; name the files in it, as in {path.name}/*.csv")
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if kind not in (*OURS, *TOOLS):
        return _by_company(path, kind, what)
    forms = _forms(kind)
    purpose = "audience" if what == "add" else what
    if purpose not in forms:
        raise ConfigError(f"{kind} has no files of purpose {what}; use one of {', '.join(forms)}")
    endings: Mapping[str, Reader] = forms[purpose]
    named = _name_findings(path, tuple(endings), kind)
    reader = endings.get(_ending(path.suffix))
    try:
        outcome = reader.lint(path) if reader else Outcome(0, ())
    except duckdb.Error as error:
        if path.suffix != ".parquet" and not isinstance(error, duckdb.InvalidInputException | duckdb.DataError):
            raise
        outcome = Outcome(0, (Finding("unreadable", "its cells cannot be read"),))
    return Report(kind, what, outcome.rows, (*named, *outcome.findings))


def _by_company(path: Path, kind: str, what: str) -> Report:
    found = tuple(entry_points(group=ENTRY_POINTS, name=kind))
    if not found:
        raise ConfigError(
            f"{kind}: no kind with a linter; use one of {', '.join(kinds())}, "
            f"or install a package with an entry point {kind} in the group {ENTRY_POINTS}"
        )
    report = found[0].load()(path, what)
    if not isinstance(report, Report):
        raise ConfigError(f"the linter of {kind} ({found[0].value}) gave no recsys.lint.Report")
    return report


@cache
def _forms(kind: str) -> dict[str, dict[str, Reader]]:
    forms: dict[str, dict[str, Reader]]
    if kind in OURS:
        forms = {what: dict(endings) for what, endings in forms_of(kind).items()}
    else:
        forms = import_module(f"recsys.lint.{kind}").FORMS
    return forms


def _ending(suffix: str) -> str:
    return ".jsonl" if suffix in {".json", ".ndjson"} else suffix


def _name_findings(path: Path, endings: tuple[str, ...], kind: str) -> tuple[Finding, ...]:
    found = []
    if _ending(path.suffix) not in endings:
        found.append(Finding("file_name", f"ends with {path.suffix or 'nothing'}; expected {' or '.join(endings)}"))
    if kind == "meta_custom_audiences":
        found += audience_name_findings(_PURPOSES.sub("", _DATE.sub("", path.stem)))
    return tuple(found)
