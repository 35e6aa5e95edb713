"""Remembers which bytes each path brought last, and in which night bytes were first taken."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

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
    taken_on: dict[tuple[str, str], date] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Registry":
        """The saved registry, or an empty one."""
        registry = cls(path)
        if path.is_file():
            content = read_json(path)
            for row in content["files"]:
                file_date = date.fromisoformat(row["file_date"]) if row["file_date"] else None
                registry.files[row["table"], row["path"]] = SourceFile(
                    row["table"], row["path"], row["sha256"], file_date, row["size"]
                )
            for row in content["taken"]:
                registry.taken_on[row["table"], row["sha256"]] = date.fromisoformat(row["taken_on"])
        return registry

    def see(self, file: SourceFile) -> None:
        """Note that the file's path now holds these bytes."""
        self.files[file.table, file.path] = file

    def visible(self, table: str, run_date: date) -> list[SourceFile]:
        """The table's files that a night may read, ordered: dated on or before it, the same bytes only once.

        Of several paths with the same bytes the one with the newest date stands for all.
        """
        by_hash: dict[str, SourceFile] = {}
        files = [
            f for f in self.files.values() if f.table == table and (f.file_date is None or f.file_date <= run_date)
        ]
        for file in sorted(files, key=lambda f: (f.file_date or date.min, f.path)):
            by_hash[file.sha256] = file
        return sorted(by_hash.values(), key=lambda f: (f.file_date or date.min, f.path))

    def mark_taken(self, files: list[SourceFile], run_date: date) -> None:
        """Remember the night that first took these bytes."""
        for file in files:
            self.taken_on.setdefault((file.table, file.sha256), run_date)

    def is_new(self, file: SourceFile, run_date: date) -> bool:
        """True when no other night took these bytes before."""
        return self.taken_on.get((file.table, file.sha256), run_date) == run_date

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
                        "size": file.size,
                    }
                    for _, file in sorted(self.files.items())
                ],
                "taken": [
                    {"table": table, "sha256": sha256, "taken_on": taken_on.isoformat()}
                    for (table, sha256), taken_on in sorted(self.taken_on.items())
                ],
            },
        )
