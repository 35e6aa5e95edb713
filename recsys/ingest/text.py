"""Checks the bytes of a text file before any parser sees them, and gives a plain UTF-8 file to read.

Nothing is guessed: encoding, header and line ends are what the shop file says, or the file is refused as a whole.
"""

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from recsys.errors import SourceRefused
from recsys.table_settings import CsvDialect

CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True)
class PlainText:
    """A checked UTF-8 text file: where it lies, its first line without the line end, and how it ends."""

    path: Path
    first_line: str
    ends_with_newline: bool
    is_empty: bool


@contextmanager
def plain_text(landed: Path, name: str, encoding: str, scratch: Path) -> Iterator[PlainText]:
    """The landed file as checked UTF-8 text without a byte order mark; unpacked or recoded aside where needed.

    Raises SourceRefused for corrupt or truncated gzip, bytes that are not in the encoding, and NUL characters.
    """
    with landed.open("rb") as stream:
        start = stream.read(4)
    packed = start[:2] == GZIP_MAGIC
    if name.endswith(".gz") and not packed and start:
        raise SourceRefused(f"{name}: the name ends in .gz but the content is not gzip; deliver it again.")
    for mark, found in FOREIGN_MARKS.items():
        if start.startswith(mark):
            raise SourceRefused(f"{name}: the file is {found}, the shop file says {encoding}. Export it as UTF-8.")
    direct = not packed and encoding == "utf-8" and not start.startswith(codecs.BOM_UTF8)
    if direct:
        yield _check(landed, name, encoding, packed=False, copy=None)
        return
    with NamedTemporaryFile(dir=scratch, prefix=".", suffix=".txt") as copy:
        checked = _check(landed, name, encoding, packed=packed, copy=copy)
        copy.flush()
        yield checked


def _check(landed: Path, name: str, encoding: str, *, packed: bool, copy: IO[bytes] | None) -> PlainText:
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    first, first_done, last, lines = "", False, "", 0
    try:
        with gzip.open(landed, "rb") if packed else landed.open("rb") as stream:
            while True:
                chunk = stream.read(CHUNK)
                text = decoder.decode(chunk, final=not chunk)
                nul = text.find("\x00")
                if nul >= 0:
                    line = lines + text.count("\n", 0, nul) + 1
                    raise SourceRefused(f"{name}: NUL character in line {line}; the file is damaged. Deliver it again.")
                lines += text.count("\n")
                if not first_done:
                    head, newline, _ = text.partition("\n")
                    first, first_done = first + head, bool(newline)
                last = text[-1:] or last
                if copy is not None:
                    copy.write(text.encode("utf-8"))
                if not chunk:
                    break
    except UnicodeDecodeError:
        raise SourceRefused(
            f"{name}: line {lines + 1} or soon after holds bytes that are not {encoding}. "
            "Export the file as UTF-8, or set csv.encoding to what it is."
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise SourceRefused(f"{name}: the gzip content is truncated or corrupt; deliver it again.") from None
    path = landed if copy is None else Path(copy.name)
    return PlainText(path, first.rstrip("\r"), last == "\n", last == "")


def check_header(text: PlainText, name: str, dialect: CsvDialect) -> None:
    """Raises SourceRefused unless the first line is exactly the header of the shop file and the file is complete."""
    if text.is_empty:
        raise SourceRefused(f"{name}: the file is empty; expected at least the header {_shown(dialect.header)}.")
    reader = csv.reader(
        [text.first_line],
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        doublequote=dialect.escape == dialect.quote,
        escapechar=None if dialect.escape == dialect.quote else dialect.escape,
    )
    try:
        found = next(reader, [])
    except csv.Error:
        found = []
    if found != dialect.header:
        missing = [column for column in dialect.header if column not in found]
        added = [column for column in found if column not in dialect.header]
        if len(missing) == len(dialect.header):
            what = "the first line names none of its columns"  # it may be data, so it is not quoted
        elif missing or added:
            parts = [f"missing: {_shown(missing)}"] if missing else []
            parts += [f"not expected: {_shown(added)}"] if added else []
            what = "; ".join(parts)
        else:
            what = "same columns in another order"
        raise SourceRefused(
            f"{name}: the header differs from the shop file ({what}). Expected {_shown(dialect.header)}. "
            "If the export changed on purpose, change csv.header and the column expressions."
        )
    if dialect.final_newline and not text.ends_with_newline:
        raise SourceRefused(
            f"{name}: the last line has no line end, so the file may be truncated. Deliver it again; "
            "if this export never ends with one, set csv.final_newline to false."
        )


def _shown(columns: list[str]) -> str:
    shown = ", ".join(columns[:30])
    return shown if len(columns) <= 30 else f"{shown} and {len(columns) - 30} more"
