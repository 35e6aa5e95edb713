"""Would each tool take the finished files as they are? The linters' answer, written from the tools' own words.

Every finding is a critical check that failed; details are rules, counts and places. A company's own kind without a
linter is a warning: nobody here knows what its tool takes.
"""

import re
from pathlib import Path

from expectations.findings import critical, warning
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.lint import Finding, audience_name_findings, kinds, lint
from recsys.night import Night

CATALOGUE = "catalogue"
CHECK_IN = "check_in_"
WHAT = re.compile(r"(?:_(?:un)?personalised)?(?:_(?P<what>add|remove|clear|optout|catalogue))?_\d{8}(?:_\d+)?")
DATED = re.compile(r".+_\d{8}(?:_[1-9]\d*)?")
"""Tools take any name; ours have the night's date, so that no night's file is taken for another's."""


def check(night: Night) -> list[Check]:
    """One check per finished file, and one per audience name that a tool would show."""
    shop = night.shop
    checks = [found for channel in shop.channels for found in _channel(night, channel)]
    catalogue = [_linted(path, "email_file", "catalogue") for path in _finished(night, CATALOGUE)]
    return checks + catalogue


def _channel(night: Night, channel: Channel) -> list[Check]:
    suite = f"lint/{channel.name}"
    if channel.kind not in kinds():
        return [warning(suite, "has_a_linter", passed=False, detail=f"kind {channel.kind} comes without one")]
    checks = []
    for path in _finished(night, channel.name):
        named = WHAT.fullmatch(path.stem.removeprefix(channel.name))
        checks.append(_linted(path, channel.kind, (named and named["what"]) or "audience"))
    checks += [_linted(path, channel.kind, "check_in") for path in _finished(night, f"{CHECK_IN}{channel.name}")]
    if audience := channel.options.get("audience_name"):
        findings = audience_name_findings(str(audience))
        detail = "; ".join(finding.detail for finding in findings)
        checks.append(critical(suite, "audience_name", passed=not findings, detail=detail))
    return checks


def _finished(night: Night, name: str) -> list[Path]:
    folder = night.files / name
    return [path for path in sorted(folder.iterdir()) if path.name[0] != "."] if folder.is_dir() else []


def _linted(path: Path, kind: str, what: str) -> Check:
    report = lint(path, kind, what)
    undated = () if DATED.fullmatch(path.stem) else (Finding("file_name", "no date as in name_20260831 at the end"),)
    findings = (*undated, *report.findings)
    said = "; ".join(f"{finding.rule}: {finding.detail}" for finding in findings)
    detail = said or f"{report.rows:,} rows, as {kind} takes them"
    return critical(f"lint/{path.parent.name}", path.name, passed=not findings, detail=detail)
