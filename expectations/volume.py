"""How much leaves, against the last nights: an audience that halves or doubles overnight is a fault until explained."""

import hashlib
import re
import statistics
from datetime import date
from pathlib import Path

from expectations.evidence import Evidence
from expectations.findings import critical, warning
from recsys.audit import Check
from recsys.files import read_json
from recsys.night import Night

NIGHTS = 14
FEWEST_FOR_A_MEDIAN = 3
"""With one or two nights behind it a median says nothing; the shop's own bounds hold until there are NIGHTS."""
CRITICAL = (0.5, 2.0)
WARNING = (0.8, 1.25)


def check(evidence: Evidence) -> list[Check]:
    """Recipients per channel against the shop's bounds (the first nights) and the median of the last nights.

    Files that say only what changed are no measure of how many recipients there were; then the bounds hold.
    """
    night, checks = evidence.night, []
    for channel in night.shop.channels:
        recipients = evidence.audience(channel).height
        history = earlier(night, channel.name) if channel.rows == "full" else []
        checks += compared(f"volume/{channel.name}", recipients, history, night)
    return checks


def compared(suite: str, recipients: int, history: list[int], night: Night) -> list[Check]:
    """The three checks for one audience, always all of them: how many checks a night passed does not depend on others.

    A median of 0 gives nothing to compare with; then the shop's bounds hold, as in the first nights.
    """
    gate = night.shop.gate
    median = statistics.median(history) if len(history) >= FEWEST_FOR_A_MEDIAN else 0
    within, allowed = True, f"not judged: {len(history)} earlier nights to compare with"
    if len(history) < NIGHTS or not median:
        within = gate.min_recipients <= recipients <= gate.max_recipients
        allowed = (
            f"{recipients:,} recipients, allowed {gate.min_recipients:,} to {gate.max_recipients:,} "
            f"(gate.min_recipients, gate.max_recipients)"
        )
    checks = [critical(suite, "recipients_within_bounds", passed=within, detail=allowed)]
    for finding, name, (low, high) in ((critical, "far", CRITICAL), (warning, "somewhat", WARNING)):
        near, limits = True, f"not judged: {len(history)} earlier nights, {FEWEST_FOR_A_MEDIAN} are needed"
        if median:
            near = low * median <= recipients <= high * median
            limits = (
                f"{recipients:,} recipients, median of the last {len(history)} published nights {median:,g}, "
                f"allowed {low:g} to {high:g} times that"
            )
        checks.append(finding(suite, f"recipients_not_{name}_off_the_median", passed=near, detail=limits))
    return checks


def earlier(night: Night, channel: str) -> list[int]:
    """Recipients of the last published nights before this one, newest first, at most NIGHTS; none when none was.

    Counted are the rows of the audience's own file, not of those beside it about who left.

    A night counts when its `_SUCCESS` names the SHA-256 of the manifest beside it.
    """
    folder = night.audience(channel).parent
    dated = [(day, path) for path in folder.glob("*-*-*") if (day := _day(path.name)) is not None]
    before = [path for day, path in sorted(dated, reverse=True) if day < night.run_date]
    found: list[int] = []
    for path in before:
        rows = _published_rows(path)
        if rows is not None:
            found.append(rows)
        if len(found) == NIGHTS:
            break
    return found


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def _published_rows(folder: Path) -> int | None:
    success, manifest = folder / "_SUCCESS", folder / "manifest.json"
    if not success.is_file() or not manifest.is_file():
        return None
    if success.read_text(encoding="utf-8").strip() != hashlib.sha256(manifest.read_bytes()).hexdigest():
        return None
    own = re.compile(rf"{re.escape(folder.parent.name)}((_un|_)personalised)?_\d{{8}}(_\d+)?\.\w+")
    rows = [int(file["rows"]) for file in read_json(manifest).get("files", []) if own.fullmatch(file.get("file", ""))]
    return sum(rows) if rows else None
