"""Takes erased people out of what was ever taken in: `landing/`, `landed/`, the registry, and the nights after it."""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.database import connect, copy_to_parquet
from recsys.erasure.screen import Screen
from recsys.errors import SourceRefused
from recsys.files import PRIVATE_FILE, private_folder, read_json, sha256_of, sync_folder, write_json
from recsys.ingest.landed import Landed, map_file, mapping_hash
from recsys.ingest.registry import Registry
from recsys.ingest.sources import SourceFile

KEPT_OF_A_NIGHT = ("inputs.json", "stages")
"""What stays of a night that read rows of erased people: which files it read, and how long it took."""

Readers = dict[str, set[tuple[str, str]]]
"""Hash -> tables and names under which bytes were read."""


class Landing:
    """Everything that a shop's nights took in."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.root = screen.shop.root
        self.bytes = private_folder(self.root / "landing")
        self.registry = Registry.load(self.root / "registry.json")

    def redact(self, withdraw: Callable[[str], None]) -> int:
        """Rewrite every file with something of an erased person, under the hash of what is left of it.

        Returns how many nights had read one. What such a night made is removed; `withdraw` is told its date while its
        inputs still name the old bytes. These go last, when nothing names them any more. Doing it again, also after
        being killed anywhere, comes to the same result.
        """
        readers = self._readers()
        for leftover in self.bytes.glob(".*"):
            leftover.unlink()
        hashes = self._hashes()
        for sha256 in hashes - readers.keys():
            self._remove(sha256)  # refused when it came, or left by an erasure that was interrupted
        for sha256 in sorted(hashes & readers.keys() - self.registry.redacted.keys()):
            kept = self._redacted(sha256, readers[sha256])
            self.registry.redact(sha256, kept)
        sync_folder(self.bytes)
        self.registry.save()
        inputs = sorted((self.root / "nights").glob("*/inputs.json"))
        nights = sum([self._redact_night(path, withdraw) for path in inputs])
        for delivered in self.registry.redacted:
            self._remove(delivered)
        sync_folder(self.bytes)
        return nights

    def _readers(self) -> Readers:
        readers: Readers = defaultdict(set)
        for file in self.registry.files.values():
            readers[file.sha256].add((file.table, file.path))
        for path in sorted((self.root / "nights").glob("*/inputs.json")):
            for table, entry in read_json(path)["tables"].items():
                for file in entry["files"]:
                    readers[file["sha256"]].add((table, file["file"]))
        return readers

    def _hashes(self) -> set[str]:
        landed = {path.name.split("-")[0] for path in (self.root / "landed").glob("*/*") if path.name[0] != "."}
        return landed | {path.name for path in self.bytes.iterdir()}

    def _redacted(self, sha256: str, uses: Iterable[tuple[str, str]]) -> str:
        """The hash of what is left of some bytes; their own when nothing in them is of an erased person."""
        names = sorted({name for _, name in uses})
        tables = sorted({table for table, _ in uses} | {one for name in names for one in self.screen.readers(name)})
        delivered, aside = self.bytes / sha256, self.bytes / f".{sha256}.redacted"
        try:
            if not delivered.is_file() or not set(tables) <= set(self.screen.shop.tables):
                return self._without_bytes(sha256, tables)
            if not self.screen.clean(delivered, names[0], tables, aside):
                return sha256
            kept = sha256_of(aside)
            aside.chmod(PRIVATE_FILE)
            aside.replace(self.bytes / kept)
        except SourceRefused:
            return self._without_bytes(sha256, tables)
        finally:
            aside.unlink(missing_ok=True)
        for table in tables:
            source = self.screen.shop.source(table)
            for landed in self._landed(table, sha256):
                new = replace(landed, sha256=kept)
                if landed.mapping == mapping_hash(table, source):
                    with connect(folders=[self.bytes, landed.folder]) as con:
                        map_file(con, self.bytes, source, SourceFile(table, names[0], kept, None), new)
                else:
                    self._filter(table, landed, new)
        return kept

    def _without_bytes(self, sha256: str, tables: Iterable[str]) -> str:
        """Bytes that nobody can read any more go; the rows that were read from them stay, but for the erased."""
        kept = hashlib.sha256(f"{sha256} without what is erased".encode()).hexdigest()
        found = [(table, old, replace(old, sha256=kept)) for table in tables for old in self._landed(table, sha256)]
        lost = sum([self._filter(table, old, new) for table, old, new in found])
        if lost or (self.bytes / sha256).exists():
            return kept
        self._remove(kept)
        return sha256

    def _landed(self, table: str, sha256: str) -> list[Landed]:
        folder = self.root / "landed" / table
        found = [Landed(folder, sha256, card.stem.split("-")[1]) for card in sorted(folder.glob(f"{sha256}-*.json"))]
        return [landed for landed in found if landed.is_whole]

    def _filter(self, table: str, old: Landed, new: Landed) -> int:
        """Typed rows without those of erased people; of its bad rows none, since nobody knows whose they were."""
        with connect(folders=[old.folder, self.screen.erased.parent]) as con:
            con.execute("CREATE TEMP TABLE source AS SELECT * FROM read_parquet($path)", {"path": str(old.good)})
            lost = self.screen.clean_rows(con, table)
            con.execute("CREATE TEMP TABLE bad AS SELECT * FROM read_parquet($path)", {"path": str(old.bad)})
            lost += con.execute("DELETE FROM bad").fetchall()[0][0]
            copy_to_parquet(con, "SELECT * FROM source ORDER BY _line", new.good)
            copy_to_parquet(con, "SELECT * FROM bad", new.bad)
            rows = con.execute("SELECT count(*) FROM source").fetchall()[0][0]
        counts = read_json(old.card)["counts"] | {"rows": rows, "bad_rows": 0}
        sizes = [new.good.stat().st_size, new.bad.stat().st_size]
        write_json(new.card, {"counts": counts, "bytes": sizes}, durable=False)
        return int(lost)

    def _redact_night(self, path: Path, withdraw: Callable[[str], None]) -> bool:
        """Remove what a night made of redacted files, then name the files that are left; False for other nights."""
        inputs = read_json(path)
        redacted = self.registry.redacted
        if not any(file["sha256"] in redacted for entry in inputs["tables"].values() for file in entry["files"]):
            return False
        forget_night(path.parent)
        withdraw(path.parent.name)
        for table, entry in inputs["tables"].items():
            files = {file["sha256"]: file for file in (self._file_now(table, file) for file in entry["files"])}
            entry["files"] = list(files.values())
            entry["rows"] = sum(file["rows"] for file in entry["files"])
        write_json(path, inputs)
        return True

    def _file_now(self, table: str, file: dict[str, Any]) -> dict[str, Any]:
        kept = self.registry.redacted.get(file["sha256"])
        if kept is None:
            return file
        card = Landed(self.root / "landed" / table, kept, file["mapping"]).card
        counts = read_json(card)["counts"] if card.is_file() else {}
        return file | counts | {"sha256": kept}

    def _remove(self, sha256: str) -> None:
        (self.bytes / sha256).unlink(missing_ok=True)
        for path in (self.root / "landed").glob(f"*/{sha256}-*"):
            path.unlink()


def forget_night(folder: Path) -> None:
    """Remove everything that a night made; what it read can make it again."""
    for path in sorted(folder.iterdir()):
        if path.name not in KEPT_OF_A_NIGHT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
