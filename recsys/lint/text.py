"""A report as lines for people."""

from pathlib import Path

from recsys.lint.linter import lint
from recsys.lint.report import Report
from recsys.lint.rules import RULES


def told(file: Path, kind: str, what: str) -> tuple[Report, list[str]]:
    """The report of a file, and a line per finding: rule, place, what it leads to, what to do; or that all is well."""
    report = lint(file, kind, what)
    if not report.findings:
        return report, [f"{file}: nothing found in {report.rows:,} rows"]
    lines = []
    for finding in report.findings:
        rule = RULES.get(finding.rule)
        advice = f" {rule.means} {rule.do}" if rule else ""
        lines.append(f"{file}: {finding.rule}: {finding.detail}.{advice}")
    return report, lines
