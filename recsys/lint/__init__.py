"""The linter of every tool's files: written from the tools' documentation, and from nothing that writes such files."""

from recsys.lint.linter import WHATS, kinds, lint
from recsys.lint.meta_custom_audiences import audience_name_findings
from recsys.lint.report import Finding, Report
from recsys.lint.rules import RULES

__all__ = ["RULES", "WHATS", "Finding", "Report", "audience_name_findings", "kinds", "lint"]
