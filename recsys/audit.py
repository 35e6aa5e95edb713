"""The gate's verdict on exact bytes. "Checked before export" is a type: channels accept only an AuditedFile."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from recsys.errors import NotAudited
from recsys.files import read_json, sha256_of, write_json

Severity = Literal["critical", "warning"]


class Check(BaseModel):
    """One thing that was checked. `detail` holds counts and limits, never values of customers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    check: str
    severity: Severity
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class AuditedFile:
    """A file whose bytes, at the moment this was made, were those that passed the gate."""

    path: Path
    sha256: str
    run_date: date


class Verdict(BaseModel):
    """What was checked on one night, bound to the hashes of the files it was checked on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_date: date
    checks: tuple[Check, ...]
    files: dict[str, str]
    """Path relative to the night's folder -> hex SHA-256 of the bytes that were checked."""

    @property
    def is_green(self) -> bool:
        """True when something critical was checked and no critical check failed."""
        return any(check.severity == "critical" for check in self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """Critical checks that failed."""
        return tuple(check for check in self.checks if check.severity == "critical" and not check.passed)

    @property
    def warnings(self) -> tuple[Check, ...]:
        """Warnings: recorded, and the night goes on."""
        return tuple(check for check in self.checks if check.severity == "warning" and not check.passed)

    def audited(self, night_folder: Path, path: Path) -> AuditedFile:
        """The file as an AuditedFile. Raises NotAudited when the verdict is red or is not about exactly these bytes."""
        if not path.is_relative_to(night_folder):
            raise NotAudited(f"{path}: lies outside the night's folder {night_folder}, so no gate checked it.")
        name = path.relative_to(night_folder).as_posix()
        if not self.is_green:
            raise NotAudited(f"{name}: the gate of {self.run_date} is red; nothing may leave.")
        if name not in self.files:
            raise NotAudited(f"{name}: the gate of {self.run_date} did not check this file. Run the gate again.")
        found = sha256_of(path)
        if found != self.files[name]:
            raise NotAudited(
                f"{name}: its bytes changed after the gate checked them "
                f"(checked {self.files[name][:12]}, found {found[:12]}). Run render and the gate again."
            )
        return AuditedFile(path, found, self.run_date)

    def write(self, path: Path) -> None:
        """Write as JSON: the same verdict is the same bytes."""
        write_json(path, self.model_dump(mode="json") | {"is_green": self.is_green})

    @classmethod
    def read(cls, path: Path) -> "Verdict":
        """Read a verdict file. Raises NotAudited when there is none or it is no verdict."""
        if not path.is_file():
            raise NotAudited(f"{path}: there is no verdict, so nothing may leave. Run the gate first.")
        try:
            content = read_json(path)
            content.pop("is_green")
            return cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise NotAudited(f"{path}: this is not a verdict, so nothing may leave. Run the gate again.") from None
