"""Remembers which bytes each path brought last, and in which night bytes were first taken."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from recsys.errors import StateDamaged
from recsys.files import read_json, write_json
from recsys.ingest.sources import SourceFile


@dataclass
class Registry:
    """The state that outlives a night. Kept as `registry.json`; saved only after a night's ingest has passed.

    A path that was delivered once keeps counting after the company has cleared its folder. New bytes under a known
    path are a correction: they replace what the path brought before.
    """

    path: Path
    files: dict[tuple[str, str], SourceFile] = field(default_factory=dict)
    taken_on: dict[tuple[str, str, str], date] = field(default_factory=dict)
    """Table, hash and mapping -> the night that first read these bytes in this way."""
    redacted: dict[str, str] = field(default_factory=dict)
    """Hash of what was delivered -> hash of what is kept of it, without the rows of people who were erased."""

    @classmethod
    def load(cls, path: Path) -> "Registry":
        """The saved registry, or an empty one."""
        registry = cls(path)
        if path.is_file():
            try:
                registry._read(read_json(path))
            except (ValueError, KeyError, TypeError):
                raise StateDamaged(
                    f"{path}: this is not the record of what was delivered. Restore it from a backup; remove it only "
                    "if every file that was ever delivered still lies in its folder."
                ) from None
        return registry

    def _read(self, content: dict[str, Any]) -> None:
        for row in content["files"]:
            file_date = date.fromisoformat(row["file_date"]) if row["file_date"] else None
            self.see(SourceFile(row["table"], row["path"], row["sha256"], file_date))
        for row in content["taken"]:
            self.taken_on[row["table"], row["sha256"], row["mapping"]] = date.fromisoformat(row["taken_on"])

        self.redacted = {str(delivered): str(kept) for delivered, kept in content.get("redacted", {}).items()}

    def see(self, file: SourceFile) -> None:
        """Note that the file's path now holds these bytes."""
        self.files[file.table, file.path] = file

    def visible(self, table: str, run_date: date, belongs: Callable[[str], bool]) -> list[SourceFile]:
        """The table's files that a night may read, ordered: dated on or before it, the same bytes only once.

        `belongs` tells whether a path is one of the table's source as it is configured now. Of several paths with the
        same bytes the one with the newest date stands for all.
        """
        by_hash: dict[str, SourceFile] = {}
        files = [
            file
            for file in self.files.values()
            if file.table == table and (file.file_date is None or file.file_date <= run_date) and belongs(file.path)
        ]
        for file in sorted(files, key=lambda f: (f.file_date or date.min, f.path)):
            by_hash[file.sha256] = file
        return sorted(by_hash.values(), key=lambda f: (f.file_date or date.min, f.path))

    def take(self, file: SourceFile, mapping: str, run_date: date) -> bool:
        """Remember that this night read these bytes in this way; True when no other night did before."""
        return self.taken_on.setdefault((file.table, file.sha256, mapping), run_date) == run_date

    def earlier_mappings(self, file: SourceFile) -> list[str]:
        """The ways in which nights that passed read these bytes, the newest first."""
        found = [
            (day, mapping)
            for (table, sha256, mapping), day in self.taken_on.items()
            if (table, sha256) == (file.table, file.sha256)
        ]
        return [mapping for _, mapping in sorted(found, reverse=True)]

    def redact(self, delivered: str, kept: str) -> None:
        """Read `kept` from now on wherever `delivered` was read, or comes again."""
        if delivered == kept:
            return
        self.redacted = {before: kept if now == delivered else now for before, now in self.redacted.items()}
        self.redacted[delivered] = kept
        self.files = {
            key: replace(file, sha256=kept) if file.sha256 == delivered else file for key, file in self.files.items()
        }
        taken: dict[tuple[str, str, str], date] = {}
        for (table, sha256, mapping), day in self.taken_on.items():
            key = (table, kept if sha256 == delivered else sha256, mapping)
            taken[key] = min(day, taken.get(key, day))
        self.taken_on = taken

    def save(self) -> None:
        """Write the registry, whole or not at all."""
        write_json(
            self.path,
            {
                "files": [
                    {
                        "table": file.table,
                        "path": file.path,
                        "sha256": file.sha256,
                        "file_date": file.file_date.isoformat() if file.file_date else None,
                    }
                    for _, file in sorted(self.files.items())
                ],
                "taken": [
                    {"table": table, "sha256": sha256, "mapping": mapping, "taken_on": taken_on.isoformat()}
                    for (table, sha256, mapping), taken_on in sorted(self.taken_on.items())
                ],
                "redacted": self.redacted,
            },
        )
