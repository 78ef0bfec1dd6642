"""Count or estimate the records of a variant file from its beginning."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from danq.files.open_input import check_file, open_raw
from danq.files.recognise import GZIP_MAGIC
from danq.genome.variants.text_header import names_columns

SAMPLED = 1 << 22
"""Largest number of bytes read, as stored on disk."""

MOST_TEXT = 1 << 26
"""Largest number of uncompressed bytes read."""

PIECE = 1 << 16


def count_records(path: str | Path) -> int | None:
    """Count the records of a small VCF or table; estimate those of a large one.

    The estimate assumes the density of records in the first 4 MB (of the compressed file) for the
    whole file.

    Parameters
    ----------
    path
        Plain, gzip or bgzip.

    Returns
    -------
    int or None
        None for BCF, and when the first 4 MB hold no record.

    Raises
    ------
    InputError
        When there is no such file, it is empty, or it cannot be opened.
    """
    size = check_file(path).stat().st_size
    with open_raw(path) as file:
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
    # The header occurs only once, so its bytes are excluded from the density.
    header = read * lines.header_bytes / lines.bytes
    return round(lines.records * (size - header) / (read - header))


class _Lines:
    """Count records, and the bytes of all other lines."""

    def __init__(self) -> None:
        self.begun = self._named = False
        self.records = self.header_bytes = self.bytes = 0
        self._rest = b""
        self._end = b"\n"

    def add(self, text: bytes) -> None:
        if not self.begun and b"\r" in text and b"\n" not in text:
            self._end = b"\r"
        self.begun = True
        self.bytes += len(text)
        *whole, self._rest = (self._rest + text).split(self._end)
        for line in whole:
            self._count(line)

    def finish(self) -> int:
        """Number of records, once all text was added."""
        if self._rest:
            self._count(self._rest)
        return self.records

    def _count(self, line: bytes) -> None:
        if self._named:
            other = line.startswith(b"#") or not line or line.isspace()
        else:
            other = True
            # The column names of a table may be without a '#', after comments.
            self._named = (
                not line.startswith(b"##")
                and not (not line or line.isspace())
                and (not line.startswith(b"#") or names_columns(line.decode(errors="replace")))
            )
        self.records += not other
        self.header_bytes += other * (len(line) + 1)


def _text(file: BinaryIO) -> Iterator[bytes]:
    """Uncompressed pieces of the first `SAMPLED` bytes of a file."""
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
                # Reading the records raises an error that describes the damage.
                return
            # bgzip is a series of gzip streams.
            piece = unzip.unused_data
            if unzip.eof:
                unzip = zlib.decompressobj(wbits=31)
