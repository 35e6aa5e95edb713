"""Takes erased people out of published audiences and the ledger, and says beforehand who had received what.

A published folder is replaced as a whole: the new one is finished beside it, then the two change places. The manifest
gets an entry `redacted`; the rest of it says what was published, and about the files what they are now.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from recsys.channels.forms import encoded, read_rows
from recsys.channels.kinds import found_by
from recsys.erasure.landing import forget_night
from recsys.erasure.marks import Marks
from recsys.files import PRIVATE_FILE, private_folder, read_json, sha256_of, sync_folder, write_json
from recsys.manifest import MANIFEST, SUCCESS, Manifest, PublishedFile, Redaction, read_published
from recsys.tables import write_parquet

ROWS = "rows"
Received = dict[str, list[dict[str, Any]]]


class Audiences:
    """Everything that a shop's nights published."""

    def __init__(self, root: Path, marks: Marks) -> None:
        self.root = root
        self.marks = marks
        self.audiences = root / "published" / "audiences"
        self.ledger = root / "published" / "ledger"
        self._names: dict[str, pl.DataFrame] = {}
        self.counts = {"audiences": 0, "audience_rows": 0, "ledger_entries": 0}

    def received(self) -> Received:
        """Per person: channel, run_date and file of everything that they were in, of the files and of the ledger."""
        self._recover()
        found: Received = {}
        for folder, manifest in self._published():
            for file in manifest.files:
                rows = _read(folder / file.file)
                if rows is None:
                    continue
                for person in self._theirs(rows, manifest.channel)["person"].unique().sort():
                    entry = {"channel": manifest.channel, "run_date": folder.name, "file": file.file}
                    found.setdefault(person, []).append(entry)
        for path in sorted((self.ledger / "recipients").glob("*/*.parquet")):
            for person in self.marks.found(pl.read_parquet(path))["person"].unique().sort():
                entries = found.setdefault(person, [])
                of_night = {"channel": path.parent.name, "run_date": path.stem}
                if not any(of_night.items() <= entry.items() for entry in entries):
                    entries.append(of_night)
        return found

    def redact(self, on: date) -> dict[str, int]:
        """Take their rows out of every published folder and ledger entry; how many folders, rows and entries."""
        self._recover()
        entries = sorted(self.ledger.glob("*/*/*.parquet"))
        rows = [path for path in entries if path.parent.parent.name == ROWS]
        for path in entries:
            if path not in rows:
                self.counts["ledger_entries"] += self._redact_entry(path, on)
        for folder, manifest in list(self._published()):
            self._redact_folder(folder, manifest, on, is_changed=False)
        for path in rows:  # last: they say what people are called in files that name nobody
            self.counts["ledger_entries"] += self._redact_entry(path, on)
        return self.counts

    def withdraw(self, day: str, on: date) -> None:
        """Say in every manifest of a night that the night is no longer what was published, and take their rows out.

        Its data are made again without them, so that also files without a row of theirs would come out differently.
        """
        for folder, manifest in list(self._published(day)):
            self._redact_folder(folder, manifest, on, is_changed=True)

    def _published(self, day: str = "*") -> Iterator[tuple[Path, Manifest]]:
        for success in sorted(self.audiences.glob(f"*/{day}/{SUCCESS}")):
            published = read_published(success.parent)
            if published:
                yield success.parent, published.manifest

    def _without(self, rows: pl.DataFrame, channel: str) -> pl.DataFrame:
        """The rows of a published file that are not theirs, in their order."""
        theirs = self._theirs(rows, channel).select("_row")
        return rows.with_row_index("_row").join(theirs, on="_row", how="anti", maintain_order="left").drop("_row")

    def _theirs(self, rows: pl.DataFrame, channel: str) -> pl.DataFrame:
        """`_row` and person of the rows of a published file that are theirs.

        By whatever the file's tool finds people by; where that is no id, also by what the ledger says that they were
        called in the channel's files, which finds hashed addresses as well.
        """
        headers = {header: name for header, name in found_by().items() if header in rows.columns}
        named = rows.rename(headers) if len(set(headers.values())) == len(headers) else rows
        found = [self.marks.found(named).select("_row", "person")]
        if "customer_id" not in named.columns:
            numbered, known = named.with_row_index("_row"), self._called(channel)
            for name in ("email", "phone"):
                if name in named.columns:
                    called = known.select(name, "person").drop_nulls()
                    found.append(numbered.join(called, on=name).select("_row", "person"))
        return pl.concat(found).unique("_row", keep="first", maintain_order=True)

    def _called(self, channel: str) -> pl.DataFrame:
        """email, phone and person: what the ledger says they were called in a channel's files."""
        if channel not in self._names:
            parts = [pl.DataFrame(schema=dict.fromkeys(("email", "phone", "person"), pl.String))]
            for path in sorted((self.ledger / ROWS / channel).glob("*.parquet")):
                parts.append(self.marks.found(pl.read_parquet(path)).select("email", "phone", "person"))
            self._names[channel] = pl.concat(parts).unique(maintain_order=True)
        return self._names[channel]

    def _redact_folder(self, folder: Path, manifest: Manifest, on: date, *, is_changed: bool) -> None:
        contents, files, lost = {}, [], 0
        for file in manifest.files:
            path = folder / file.file
            rows = _read(path)
            kept = self._without(rows, manifest.channel) if rows is not None else None
            if rows is None or kept is None or kept.height == rows.height:
                contents[file.file] = path.read_bytes()
                files.append(file)
                continue
            lost += rows.height - kept.height
            contents[file.file] = content = encoded(kept, path.suffix)
            files.append(
                PublishedFile(
                    file=file.file,
                    rows=kept.height,
                    bytes=len(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                    columns=file.columns,
                )
            )
        earlier = [entry for entry in manifest.redacted or () if entry.on != on]
        today = [entry for entry in manifest.redacted or () if entry.on == on]
        if lost or (is_changed and not today):
            redacted = (*earlier, Redaction(on=on, rows=lost + sum(entry.rows for entry in today)))
            _replace(folder, contents, manifest.model_copy(update={"files": tuple(files), "redacted": redacted}))
            self.counts["audiences"] += lost > 0
            self.counts["audience_rows"] += lost

    def _redact_entry(self, path: Path, on: date) -> bool:
        """Rewrite one entry of the ledger, and forget what nights that counted with it had made."""
        rows = pl.read_parquet(path)
        kept = self.marks.without(rows)
        if kept.height == rows.height:
            return False
        aside = path.with_name(f".{path.name}.redacted")
        write_parquet(kept, aside, durable=True)
        before, after = sha256_of(path), sha256_of(aside)
        book, name = path.parent.parent.name, f"{path.parent.name}/{path.name}"
        for inputs_file in sorted((self.root / "nights").glob("*/inputs.json")):
            inputs = read_json(inputs_file)
            entries = [e for e in inputs.get("ledger", {}).get(book, []) if (e["file"], e["sha256"]) == (name, before)]
            if entries:
                forget_night(inputs_file.parent)
                self.withdraw(inputs_file.parent.name, on)
                for entry in entries:
                    entry["sha256"] = after
                write_json(inputs_file, inputs)
        aside.replace(path)
        sync_folder(path.parent)
        return True

    def _recover(self) -> None:
        """Finish what an interrupted erasure left: folders that were about to change places."""
        for gone in sorted(self.audiences.glob("*/.*.withdrawn")):
            day = gone.name[1:].removesuffix(".withdrawn")
            made, folder = gone.with_name(f".{day}.redacted"), gone.with_name(day)
            if not folder.exists():
                made.rename(folder)
                sync_folder(folder.parent)
            shutil.rmtree(gone)
        for made in sorted(self.audiences.glob("*/.*.redacted")):
            shutil.rmtree(made)
        for aside in sorted(self.ledger.glob("*/*/.*.redacted")):
            aside.unlink()


def _read(path: Path) -> pl.DataFrame | None:
    """A published file as a table, None for one without rows."""
    rows = read_rows(path)
    return rows if rows.width else None


def _replace(folder: Path, contents: dict[str, bytes], manifest: Manifest) -> None:
    """Put a folder with these files, their sums, the manifest and `_SUCCESS` in the place of a published one."""
    made, gone = folder.with_name(f".{folder.name}.redacted"), folder.with_name(f".{folder.name}.withdrawn")
    private_folder(made)
    sums = {f"{file.file}.sha256": f"{file.sha256}  {file.file}\n".encode() for file in manifest.files}
    success = f"{hashlib.sha256(manifest.content).hexdigest()}\n".encode()
    for name, content in {**contents, **sums, MANIFEST: manifest.content, SUCCESS: success}.items():
        descriptor = os.open(made / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    sync_folder(made)
    folder.rename(gone)
    made.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(gone)
