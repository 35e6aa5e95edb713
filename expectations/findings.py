"""Checks made outside Great Expectations, in the words the verdict uses."""

from collections.abc import Callable

from expectations.crashes import explained
from recsys.audit import Check


def found_none(suite: str, check: str, wrong: int, of: int, *, noun: str = "rows") -> Check:
    """A critical check that passes when nothing is wrong; the detail counts."""
    return Check(suite=suite, check=check, severity="critical", passed=wrong == 0, detail=f"{wrong:,} of {of:,} {noun}")


def critical(suite: str, check: str, *, passed: bool, detail: str) -> Check:
    """A critical check: stops the night when it fails."""
    return Check(suite=suite, check=check, severity="critical", passed=bool(passed), detail=detail)


def warning(suite: str, check: str, *, passed: bool, detail: str) -> Check:
    """A warning: recorded when it fails, and the night goes on."""
    return Check(suite=suite, check=check, severity="warning", passed=bool(passed), detail=detail)


def guarded(suite: str, check: str, run: Callable[[], list[Check]]) -> list[Check]:
    """What `run` gives; when it crashes, or gives nothing, one failed critical check named `check`."""
    try:
        checks = run()
    except Exception as error:  # noqa: BLE001 - a check that cannot be made has not been passed
        return [critical(suite, check, passed=False, detail=explained(error))]
    return checks or [critical(suite, check, passed=False, detail="checked nothing")]
