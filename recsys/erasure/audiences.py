"""Takes erased people out of published audiences and the ledger, and says beforehand who had received what.

A published folder is replaced as a whole: the new one is finished beside it, then the two change places. The manifest
gets an entry `redacted`; the rest of it says what was published, and about the files what they are now.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from recsys.erasure.landing import forget_night
from recsys.erasure.marks import Marks
from recsys.files import PRIVATE_FILE, private_folder, read_json, sha256_of, sync_folder, write_json
from recsys.manifest import MANIFEST, SUCCESS, Manifest, PublishedFile, Redaction, read_published
from recsys.tables import write_parquet

Received = dict[str, list[dict[str, Any]]]


class Audiences:
    """Everything that a shop's nights published."""

    def __init__(self, root: Path, marks: Marks) -> None:
        self.root = root
        self.marks = marks
        self.audiences = root / "published" / "audiences"
        self.ledger = root / "published" / "ledger"
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
                for person in self.marks.found(rows)["person"].unique().sort():
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
        for path in sorted(self.ledger.glob("*/*/*.parquet")):
            self.counts["ledger_entries"] += self._redact_entry(path, on)
        for folder, manifest in list(self._published()):
            self._redact_folder(folder, manifest, on, is_changed=False)
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

    def _redact_folder(self, folder: Path, manifest: Manifest, on: date, *, is_changed: bool) -> None:
        contents, files, lost = {}, [], 0
        for file in manifest.files:
            path = folder / file.file
            rows = _read(path)
            kept = self.marks.without(rows) if rows is not None else None
            if rows is None or kept is None or kept.height == rows.height:
                contents[file.file] = path.read_bytes()
                files.append(file)
                continue
            lost += rows.height - kept.height
            contents[file.file] = content = _written(kept, path.suffix)
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
    """A published file as a table, None for a form that has no rows."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else None


def _written(rows: pl.DataFrame, suffix: str) -> bytes:
    stream = io.BytesIO()
    if suffix == ".parquet":
        rows.write_parquet(stream, compression="zstd")
    else:
        rows.write_csv(stream, quote_style="always", line_terminator="\n")
    return stream.getvalue()


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
