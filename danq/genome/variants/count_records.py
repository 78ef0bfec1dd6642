"""How many records a file of variants holds, without reading all of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from danq.genome.input_files import GZIP_MAGIC, check_file

SAMPLED = 1 << 22
"""Bytes of a file, as it lies on the disk, that are looked at."""

MOST_TEXT = 1 << 26
"""Bytes of text after which no more is looked at, however little room they take on the disk."""

PIECE = 1 << 16


def count_records(path: str | Path) -> int | None:
    """Records of a VCF or table: counted if it is small, else reckoned from its beginning.

    A larger file is taken to be as dense throughout as in its first 4 MB (compressed, where it
    is), so that a count costs no more than reading these.

    Parameters
    ----------
    path
        Plain, gzip or bgzip.

    Returns
    -------
    int or None
        None for BCF, and where no record comes within the first 4 MB.

    Raises
    ------
    InputError
        When there is no such file, or it is empty.
    """
    size = check_file(path).stat().st_size
    with open(path, "rb") as file:
        lines = _Lines()
        for text in _text(file):
            if not lines.begun and text.startswith(b"BCF"):
                return None
            lines.add(text)
            if lines.bytes > MOST_TEXT:
                break
        read = file.tell()
    if read >= size:
        return lines.finish()
    if not lines.records:
        return None
    # Header lines come once, so that what they take is not counted with the rest.
    header = read * lines.header_bytes / lines.bytes
    return round(lines.records * (size - header) / (read - header))


class _Lines:
    """Counts records, and the bytes of all other lines."""

    def __init__(self) -> None:
        self.begun = self._named = False
        self.records = self.header_bytes = self.bytes = 0
        self._rest = b""

    def add(self, text: bytes) -> None:
        self.begun = True
        self.bytes += len(text)
        *whole, self._rest = (self._rest + text).split(b"\n")
        for line in whole:
            self._count(line)

    def finish(self) -> int:
        """Records, when there is nothing more."""
        if self._rest:
            self._count(self._rest)
        return self.records

    def _count(self, line: bytes) -> None:
        if self._named:
            other = line.startswith(b"#") or not line or line.isspace()
        else:
            # Column names come first, in a table without a '#'.
            other = True
            self._named = not (line.startswith(b"##") or not line or line.isspace())
        self.records += not other
        self.header_bytes += other * (len(line) + 1)


def _text(file: BinaryIO) -> Iterator[bytes]:
    """The first `SAMPLED` bytes of a file, uncompressed, in pieces."""
    unzip = None
    while file.tell() < SAMPLED and (piece := file.read(PIECE)):
        if unzip is None and piece.startswith(GZIP_MAGIC) and file.tell() == len(piece):
            unzip = zlib.decompressobj(wbits=31)
        if unzip is None:
            yield piece
            continue
        while piece:
            try:
                yield unzip.decompress(piece)
            except zlib.error:
                # Whoever reads the records says what is wrong.
                return
            # bgzip is many gzip streams, one after the other.
            piece = unzip.unused_data
            if unzip.eof:
                unzip = zlib.decompressobj(wbits=31)
