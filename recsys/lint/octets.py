"""The bytes of a text file: encoding, line ends, quoting, cells per row, in one pass that holds one block at a time.

Nothing is guessed: the separator is given, and a file is refused here before any reader could repair it silently.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.lint.report import Finding

BLOCK = 1 << 20
QUOTE, NEWLINE, RETURN = 0x22, 0x0A, 0x0D
_WORD_STARTS = np.zeros(256, dtype=bool)
_WORD_STARTS[[*b"0123456789ABCDEFGHIJKLMOPQRSTUVWXYZabcdefghijklmopqrstuvwxyz'\""]] = True
"""Bytes that no dangerous, array or null cell begins with; N and n begin the words for nothing."""

Octets = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """How a file is laid out. With findings its cells are not worth reading and the other fields may be empty."""

    findings: tuple[Finding, ...] = ()
    header: tuple[str, ...] = ()
    rows: int = 0
    """Records after the header; for lines without header, lines."""
    odd_columns: frozenset[int] = frozenset()
    """Columns (from 0) with a cell that begins with anything but a letter, a digit or an apostrophe, or with n or N."""


def layout_of(path: Path, separator: str | None) -> Layout:
    """The layout of a delimited file, or with separator None of a file of lines. An empty file has no header."""
    if path.stat().st_size == 0:
        return Layout((Finding("header_missing", "the file is empty"),)) if separator else Layout()
    octets: Octets = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    unfit = _encoding_of(octets) or _line_ends_of(octets)
    if unfit:
        return Layout((unfit,))
    return _records_of(octets, separator) if separator else _lines_of(octets)


def _encoding_of(octets: Octets) -> Finding | None:
    head = bytes(octets[:4])
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Finding("encoding", "UTF-16")
    if head.startswith(codecs.BOM_UTF8):
        return Finding("encoding", "begins with a byte order mark")
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    for start in range(0, len(octets), BLOCK):
        block = octets[start : start + BLOCK]
        is_last = start + BLOCK >= len(octets)
        if not block.all():
            return Finding("encoding", f"a zero byte at byte {start + int(np.argmin(block)) + 1:,}; UTF-16, perhaps")
        if block.max() < 128 and not decoder.getstate()[0]:
            continue
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block.tobytes(), final=is_last)
        except UnicodeDecodeError as error:
            return Finding("encoding", f"not UTF-8 at byte {start - waiting + error.start + 1:,}")
        if "\N{REPLACEMENT CHARACTER}" in text:
            return Finding("encoding", "holds the replacement character U+FFFD: letters were lost before")
    return None


def _line_ends_of(octets: Octets) -> Finding | None:
    returns = sum(
        int(np.count_nonzero(octets[start : start + BLOCK] == RETURN)) for start in range(0, len(octets), BLOCK)
    )
    if returns:
        return Finding("line_ends", f"{returns:,} carriage returns")
    return None if octets[-1] == NEWLINE else Finding("line_ends", "the last line has no end: cut off, perhaps")


def _lines_of(octets: Octets) -> Layout:
    lines = blank = 0
    before = -1
    for start in range(0, len(octets), BLOCK):
        ends = np.flatnonzero(octets[start : start + BLOCK] == NEWLINE) + start
        if len(ends):
            lengths = np.diff(ends, prepend=before) - 1
            blank += int(np.count_nonzero(lengths == 0))
            before = int(ends[-1])
            lines += len(ends)
    findings = (Finding("blank_row", f"{blank:,} blank lines"),) if blank else ()
    return Layout(findings, rows=lines)


def _records_of(octets: Octets, separator: str) -> Layout:
    walk = _Records(octets, ord(separator))
    for start in range(0, len(octets), BLOCK):
        walk.read(start)
    findings = walk.findings()
    if findings:
        return Layout(findings, walk.header, max(walk.records - 1, 0))
    return Layout((), walk.header, walk.records - 1, frozenset(np.flatnonzero(walk.odd).tolist()))


class _Records:
    """Walks through a delimited file block by block; a record ends at a newline outside quotes."""

    def __init__(self, octets: Octets, separator: int) -> None:
        self.octets, self.separator = octets, separator
        self.edges = np.zeros(256, dtype=bool)
        self.edges[[separator, NEWLINE, QUOTE]] = True
        self.is_quoted = self.is_blank_first = False
        self.bad_quotes = self.blank = self.uneven = self.records = self.width = 0
        self.first_bad_quote = self.first_blank = self.first_uneven = 0
        self.header: tuple[str, ...] = ()
        self.begin = 0
        self.waiting: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.odd = np.zeros(0, dtype=bool)

    def read(self, start: int) -> None:
        """Take in the block that begins at `start`."""
        block = self.octets[start : start + BLOCK]
        quotes = block == QUOTE
        inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool)
        if self.is_quoted:
            inside = ~inside
        stop = start + len(block)
        is_edge = np.empty(len(block) + 2, dtype=bool)
        self.edges.take(block, out=is_edge[1:-1])
        is_edge[0] = self.edges[self.octets[start - 1]] if start else True
        is_edge[-1] = self.edges[self.octets[stop]] if stop < len(self.octets) else True
        bad = quotes & ~np.where(inside, is_edge[:-2], is_edge[2:])
        if bad.any():
            self.first_bad_quote = self.first_bad_quote or start + int(np.argmax(bad)) + 1
            self.bad_quotes += int(np.count_nonzero(bad))
        breaks = np.flatnonzero(((block == self.separator) | (block == NEWLINE)) & ~inside)
        self._rows(np.concatenate((self.waiting, breaks + start)))
        self.is_quoted = bool(inside[-1])

    def _rows(self, breaks: npt.NDArray[np.int64]) -> None:
        ends = np.flatnonzero(self.octets[breaks] == NEWLINE)
        if not len(ends):
            self.waiting = breaks
            return
        whole = breaks[: ends[-1] + 1]
        self.waiting = breaks[ends[-1] + 1 :]
        widths = np.diff(ends, prepend=-1)
        if not self.records:
            self._take_header(breaks[: int(widths[0])])
        lengths = np.diff(breaks[ends], prepend=self.begin - 1) - 1
        blank = lengths == 0
        self.is_blank_first = self.is_blank_first or (not self.records and bool(blank[0]))
        uneven = (widths != self.width) & ~blank
        if blank.any():
            self.first_blank = self.first_blank or self.records + int(np.argmax(blank))
            self.blank += int(np.count_nonzero(blank))
        if uneven.any():
            self.first_uneven = self.first_uneven or self.records + int(np.argmax(uneven))
            self.uneven += int(np.count_nonzero(uneven))
        if not self.blank and not self.uneven:
            self._cells(whole)
        self.records += len(ends)
        self.begin = int(whole[-1]) + 1

    def _take_header(self, ends: npt.NDArray[np.int64]) -> None:
        self.width = len(ends)
        self.odd = np.zeros(self.width, dtype=bool)
        starts = [0, *(ends[:-1] + 1).tolist()]
        cells = [self.octets[start:end].tobytes().decode() for start, end in zip(starts, ends.tolist(), strict=True)]
        quoted = [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells]
        self.header = tuple(quoted)

    def _cells(self, ends: npt.NDArray[np.int64]) -> None:
        starts = np.concatenate(([self.begin], ends[:-1] + 1))
        first = self.octets[starts]
        first = np.where(first == QUOTE, self.octets[np.minimum(starts + 1, len(self.octets) - 1)], first)
        odd = ~_WORD_STARTS[first] & (ends > starts)
        self.odd |= odd.reshape(-1, self.width).any(axis=0)

    def findings(self) -> tuple[Finding, ...]:
        """Faults of the layout; a file whose quotes are wrong has no cells that could be counted."""
        if self.bad_quotes:
            detail = f"{self.bad_quotes:,} quotes inside a cell, the first at byte {self.first_bad_quote:,}"
            return (Finding("quoting", detail),)
        if self.is_quoted:
            return (Finding("quoting", "a quote is opened and never closed"),)
        if self.header == ("",) and self.is_blank_first:
            return (Finding("header_missing", "the first line is empty"),)
        found = []
        if any("\n" in name for name in self.header):
            found.append(Finding("header_unknown", "a line end inside a header"))
        if self.blank:
            found.append(Finding("blank_row", f"{self.blank:,} blank rows, the first is row {self.first_blank:,}"))
        if self.uneven:
            detail = f"{self.uneven:,} rows without {self.width} cells, the first is row {self.first_uneven:,}"
            found.append(Finding("cell_count", detail))
        return tuple(found)
