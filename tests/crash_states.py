"""Every state that a power cut can leave of a recorded sequence of file operations.

The model is the weak one: what was written to a file survives up to any point unless the file was synced, and each new
name, rename or removal in a folder survives or not, one by one, unless the folder was synced. Killing processes cannot
show this, because the kernel keeps what they wrote.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Step = tuple[str, tuple[Any, ...], dict[str, Any], Any]
View = dict[str, bytes]
"""What a reader finds in the folder: names and bytes."""


@dataclass(eq=False)
class File:
    synced: bytes = b""
    pending: list[bytes] = field(default_factory=list)

    def survivors(self) -> list[bytes]:
        found = [self.synced]
        for chunk in self.pending:
            found += [found[-1] + chunk[: len(chunk) // 2], found[-1] + chunk]
        return found


@dataclass(eq=False)
class Folder:
    now: dict[str, Any] = field(default_factory=dict)
    synced: dict[str, Any] = field(default_factory=dict)
    pending: list[tuple[str | None, str | None, Any]] = field(default_factory=list)
    """(name that goes, name that comes, what it names)"""

    def change(self, gone: str | None, come: str | None, what: Any) -> None:
        _apply(self.now, (gone, come, what))
        self.pending.append((gone, come, what))

    def survivors(self) -> Iterator[dict[str, Any]]:
        for kept in itertools.product((False, True), repeat=len(self.pending)):
            entries = dict(self.synced)
            for change in itertools.compress(self.pending, kept):
                _apply(entries, change)
            yield entries


def _folder_with(entries: dict[str, Any]) -> Folder:
    return Folder(now=dict(entries), synced=dict(entries))


def _apply(entries: dict[str, Any], change: tuple[str | None, str | None, Any]) -> None:
    gone, come, what = change
    if gone is not None:
        entries.pop(gone, None)
    if come is not None:
        entries[come] = what


def crash_views(steps: Sequence[Step], path: Sequence[str], before: View) -> Iterator[tuple[int, View]]:
    """After each step, what a reader may find in the folder `path` below the root, if the power went just then."""
    root = _folder_with({name: File(content) for name, content in before.items()})
    for name in reversed(path if before else ()):
        root = _folder_with({name: root})
    opened: dict[int, File | Folder] = {}
    for number, (name, args, kwargs, result) in enumerate(steps, start=1):
        above = opened.get(kwargs.get("dir_fd", kwargs.get("src_dir_fd", -1)), root)
        if name == "mkdir" and args[0] not in above.now:
            above.change(None, args[0], Folder())
        elif name == "open" and "dir_fd" not in kwargs:
            opened[result] = root
        elif name == "open" and args[1] & os.O_CREAT:
            opened[result] = File()
            above.change(None, args[0], opened[result])
        elif name == "open":
            opened[result] = above.now[args[0]]
        elif name == "write":
            opened[args[0]].pending.append(bytes(args[1][:result]))
        elif name == "rename":
            above.change(args[0], args[1], above.now[args[0]])
        elif name == "unlink":
            above.change(args[0], None, None)
        elif name == "fsync":
            node = opened[args[0]]
            node.synced = dict(node.now) if isinstance(node, Folder) else node.survivors()[-1]
            node.pending = []
        for view in _views(root, list(path)):
            yield number, view


def _views(folder: Folder, path: list[str]) -> Iterator[View]:
    for entries in folder.survivors():
        if path and path[0] in entries:
            yield from _views(entries[path[0]], path[1:])
        elif path:
            yield {}
        else:
            for contents in itertools.product(*(file.survivors() for file in entries.values())):
                yield dict(zip(entries, contents, strict=True))


def kind_of(view: View) -> str:
    """nothing: a reader sees no `_SUCCESS`. whole: all it promises is there. partial: it promises what is not there."""
    if "_SUCCESS" not in view:
        return "nothing"
    manifest = view.get("manifest.json", b"")
    if hashlib.sha256(manifest).hexdigest().encode() != view["_SUCCESS"].strip():
        return "partial"
    files = json.loads(manifest)["files"]
    whole = all(hashlib.sha256(view.get(file["file"], b"")).hexdigest() == file["sha256"] for file in files)
    return "whole" if whole else "partial"


def count_states(steps: Sequence[Step], path: Sequence[str], before: View | None = None) -> dict[str, int]:
    """Distinct states by kind, and `lost`: states after the last step that do not hold what was acknowledged.

    `before` is what lay in the folder, and had been synced, when the steps began.
    """
    seen: dict[frozenset[tuple[str, bytes]], str] = {}
    lost = set()
    for number, view in crash_views(steps, path, before or {}):
        state = frozenset(view.items())
        if state not in seen:
            seen[state] = kind_of(view)
        if number == len(steps) and seen[state] != "whole":
            lost.add(state)
    kinds = list(seen.values())
    return {kind: kinds.count(kind) for kind in ("nothing", "whole", "partial")} | {"lost": len(lost)}


def without(steps: Iterable[Step], *, file_syncs: bool = False, folder_syncs: bool = False) -> list[Step]:
    """The same steps as if files, or folders, had not been synced."""
    kept, is_file = [], {}
    for step in steps:
        name, args, _, result = step
        if name == "open":
            is_file[result] = bool(args[1] & os.O_CREAT)
        if name == "fsync" and (file_syncs if is_file[args[0]] else folder_syncs):
            continue
        kept.append(step)
    return kept
