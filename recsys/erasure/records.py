"""What is kept about erasures: a report per request, for telling those who had received the data, and a log.

Both name people by keyed hash, or not at all. A report that is not finished yet keeps every night from running.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from recsys.errors import ErasureUnfinished, StateDamaged
from recsys.files import read_json, replace_file, write_json

LOG = "log.jsonl"
UNFINISHED = ".unfinished.json"


def folder_of(root: Path) -> Path:
    """Where the records of a data root lie."""
    return root / "published" / "erasures"


def require_finished(root: Path) -> None:
    """Raise ErasureUnfinished while an erasure was begun and not finished."""
    begun = sorted(folder_of(root).glob(f"*{UNFINISHED}"))
    if begun:
        raise ErasureUnfinished(
            f"{begun[0]}: this erasure was interrupted, and no night runs before it is finished. "
            "Run `recsys erase` again with the same customers and date, or with any others: it finishes what was begun."
        )


@dataclass(frozen=True)
class Report:
    """The report of one request: the request's name, and whether each person was known and had been sent what."""

    root: Path
    on: date
    request: str

    @property
    def path(self) -> Path:
        return folder_of(self.root) / f"{self.on}-{self.request}.json"

    @property
    def begun(self) -> Path:
        return self.path.with_name(f"{self.path.stem}{UNFINISHED}")

    def begin(self, people: Iterable[str], unknown: Iterable[str], received: dict[str, list[dict[str, Any]]]) -> None:
        """Write what the people had received before it is taken out; what an earlier attempt found stays."""
        before = [person for path in (self.path, self.begun) if path.exists() for person in read_json(path)["persons"]]
        known = {person["customer"]: person for person in before}
        strangers = set(unknown)
        persons = []
        for person in sorted(set(people)):
            old = known.get(person, {"received": [], "was_known": False})
            entries = {json.dumps(entry, sort_keys=True) for entry in [*old["received"], *received.get(person, [])]}
            persons.append(
                {
                    "customer": person,
                    "was_known": old["was_known"] or person not in strangers,
                    "received": _without_repeats([json.loads(entry) for entry in sorted(entries)]),
                }
            )
        content = {"date": self.on.isoformat(), "request": self.request, "persons": persons}
        earlier = read_json(self.path).get("erased", {}) if self.path.exists() else {}
        write_json(self.begun, content | {"erased": earlier})

    def finish(self, counts: dict[str, int]) -> Path:
        """Finish this report and every other that was begun, each with an entry in the log; this one's path."""
        for begun in sorted(folder_of(self.root).glob(f"*{UNFINISHED}")):
            content = read_json(begun)
            _log(self.root, content, counts)
            finished = begun.with_name(begun.name.removesuffix(UNFINISHED) + ".json")
            earlier = content["erased"]
            total = {name: count + earlier.get(name, 0) for name, count in counts.items()}
            write_json(finished, content | {"erased": total})
            begun.unlink()
        return self.path


def _without_repeats(received: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries without a file, known from the ledger alone, only where no file of that channel and night is named."""
    named = {(entry["channel"], entry["run_date"]) for entry in received if "file" in entry}
    return [entry for entry in received if "file" in entry or (entry["channel"], entry["run_date"]) not in named]


def _log(root: Path, report: dict[str, Any], counts: dict[str, int]) -> None:
    """Add one line to the log, once per request and date; no line that is there ever changes."""
    path = folder_of(root) / LOG
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        entries = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        raise StateDamaged(f"{path}: this is not the log of erasures. Restore it from a backup.") from None
    if any((entry["date"], entry["request"]) == (report["date"], report["request"]) for entry in entries):
        return
    persons = report["persons"]
    entry = {
        "date": report["date"],
        "request": report["request"],
        "persons": len(persons),
        "not_known": sum(not person["was_known"] for person in persons),
        **counts,
    }
    added = text + json.dumps(entry, sort_keys=True) + "\n"
    replace_file(path, lambda aside: aside.write_text(added, encoding="utf-8"))
