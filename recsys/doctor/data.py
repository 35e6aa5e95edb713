"""What the shop's data have and lack: what came, what did not, and what cannot be done without it."""

from collections.abc import Iterator

from recsys.contracts import CONTRACTS
from recsys.doctor.finding import Finding, Level
from recsys.doctor.rehearsal import Rehearsal
from recsys.files import read_json
from recsys.report.words import ABSENT_WORDS, stage_words
from recsys.suppression.key import KEY_ENV
from recsys.suppression.memory import key_of


def findings(rehearsal: Rehearsal) -> Iterator[Finding]:
    """One per table of the contracts, then what stopped the rehearsal, then the suppression key."""
    if rehearsal.night.inputs.is_file():
        for name, entry in read_json(rehearsal.night.inputs)["tables"].items():
            yield _of_table(name, entry)
    if rehearsal.stopped_at is not None:
        yield Finding(
            "stops", stage_words(rehearsal.stopped_at), rehearsal.error, "Mend this, then ask the doctor again."
        )
    if key_of(rehearsal.night.published) is None:
        yield Finding(
            "missing",
            KEY_ENV,
            "not set: suppressions are followed as they are delivered, and forgotten when a delivery leaves them out.",
            "Make one with: openssl rand -hex 32",
        )


def _of_table(name: str, entry: dict) -> Finding:  # type: ignore[type-arg]
    if not entry["present"]:
        level: Level = "stops" if CONTRACTS[name].required or name == "consents" else "missing"
        return Finding(
            level, name, ABSENT_WORDS.get(name, "the night goes on without it."), f"Name it in tables.{name}."
        )
    bad = sum(file["bad_rows"] for file in entry["files"])
    files = f"{len(entry['files']):,} file{'' if len(entry['files']) == 1 else 's'}"
    sentence = f"{entry['rows']:,} rows of {files}"
    if bad:
        return Finding("note", name, f"{sentence}; {bad:,} bad rows are left out.", "recsys check tells more.")
    return Finding("ready", name, f"{sentence}.")
