"""What a linter says of a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fault of a file. `detail` holds counts, places and header names, never what stands in a person's cells."""

    rule: str
    """One of `recsys.lint.rules.RULES`, or a rule of a company's own linter."""
    detail: str


@dataclass(frozen=True)
class Report:
    """What was found in one file. Without findings the tool takes the file as it is."""

    kind: str
    what: str
    rows: int
    """Data rows, lines of JSON, or profiles in Klaviyo's request bodies; 0 where they cannot be counted."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Outcome:
    """Rows and findings, before it is known for which kind and purpose the file was read."""

    rows: int
    findings: tuple[Finding, ...]
