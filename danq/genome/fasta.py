"""Read FASTA files as codes: a genome by position, or records in order."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from danq.errors import InputError
from danq.files.open_input import damaged, open_bytes
from danq.genome.fasta_index import duplicate_name, headless, nameless, open_index, readable_fasta
from danq.genome.nucleotide_codes import (
    LINE_CODES,
    REFUSED,
    SKIPPED,
    count_equal,
    refused_letter,
    translate,
)
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import check_interval
from danq.typing import Codes

BLOCK = 1 << 20
NEWLINE, HEADER = b"\n>"


class Genome:
    """A FASTA file with random access through its index.

    A gzip file is unpacked once into the cache, with a message; plain and bgzip files are read
    directly. The index is stored next to the file, or in the cache if that folder is read-only.
    An index older than the file is rebuilt.

    Parameters
    ----------
    path
        FASTA file; all lines of a record except the last must have the same length.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, or not
        FASTA; when two records share a name, or a record has no sequence or lines of
        unequal length.

    Examples
    --------
    >>> with Genome("hg38.fa") as genome:  # doctest: +SKIP
    ...     genome.codes("chr1", 1_000_000, 1_001_000)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = readable_fasta(self.path)
        self._index = open_index(self._file)
        self._bgzip = bool(self._index._bgzf)
        self.contigs: dict[str, int] = {
            name: record.rlen for name, record in self._index.index.items()
        }
        for name, length in self.contigs.items():
            if length == 0:
                self.close()
                raise _empty_record(self.path, name)

    def __enter__(self) -> Genome:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Genome('{self.path}', {len(self.contigs)} contigs)"

    def close(self) -> None:
        """Close the file."""
        self._index.close()

    def codes(self, contig: str, start: int = 0, end: int | None = None) -> Codes:
        """Codes of an interval of a contig.

        Parameters
        ----------
        contig
            Name in ``contigs``.
        start, end
            Interval, 0-based half-open, inside the contig. An ``end`` of None is the
            contig's end.

        Returns
        -------
        Codes
            ``(end - start,)`` uint8: A 0, C 1, G 2, T 3, N 4.

        Raises
        ------
        InputError
            When the genome has no such contig, the interval is not inside it, a character is
            not a DNA letter, or the file does not match its index.
        """
        check_interval(self.contigs, contig, start, end)
        stop = self.contigs[contig] if end is None else end
        codes = np.empty(stop - start, dtype=np.uint8)
        for low in range(start, stop, BLOCK):
            high = min(low + BLOCK, stop)
            codes[low - start : high - start] = self._block(contig, low, high)
        return codes

    def pack(self) -> PackedGenome:
        """Read the whole genome at two bits per base, one contig at a time.

        Raises
        ------
        InputError
            When a character is not a DNA letter or the file does not match its index.
        """
        return PackedGenome.from_contigs((name, self.codes(name)) for name in self.contigs)

    def _block(self, contig: str, low: int, high: int) -> Codes:
        letters = self._letters(contig, low, high)
        codes = np.empty(letters.size, dtype=np.uint8)
        count, seen = translate(letters, LINE_CODES, codes, 0)
        if count != high - low or (seen & REFUSED and HEADER in letters):
            raise InputError(
                f"bases {low + 1:,} to {high:,} are not where the index says",
                file=self._index.indexname,
                record=contig,
                remedy="Delete the index, which belongs to another file; it is built again",
            )
        if seen & REFUSED:
            letters = letters[LINE_CODES[letters] != SKIPPED]
            index = int(np.flatnonzero(codes[:count] & REFUSED)[0])
            position = low + index + 1
            raise refused_letter(int(letters[index]), position, file=self.path, record=contig)
        return codes[:count]

    def _letters(self, contig: str, low: int, high: int) -> Codes:
        """Bytes of the file that hold an interval; they may include line ends."""
        if self._bgzip:
            try:
                text = str(self._index.from_file(contig, low + 1, high))
            except (zlib.error, struct.error, ValueError, RuntimeError, OSError) as error:
                raise damaged(self.path, error) from error
            return np.frombuffer(text.encode(), dtype=np.uint8)
        record = self._index.index[contig]
        first = record.offset + low // record.lenc * record.lenb + low % record.lenc
        last = record.offset + (high - 1) // record.lenc * record.lenb + (high - 1) % record.lenc
        data = os.pread(self._index.file.fileno(), last + 1 - first, first)
        return np.frombuffer(data, dtype=np.uint8)


def read_fasta(path: str | Path) -> Iterator[tuple[str, Codes]]:
    """Read the records of a FASTA in order, without an index.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. Lines may be of any length; blank lines are skipped.

    Yields
    ------
    name : str
        The header up to its first blank.
    codes : Codes
        ``(L,)`` uint8: A 0, C 1, G 2, T 3, N 4.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, or holds no
        record; at text before the first header, a header without a name, a repeated name, a
        record without sequence, and a character that is not a DNA letter.
    """
    path = Path(path)
    seen: set[str] = set()
    record: _Record | None = None
    with open_bytes(path) as handle:
        for line, is_header, text, more in _segments(handle, path.stat().st_size):
            if not is_header:
                if record is not None:
                    record.add(text, line, more)
                elif bytes(text).strip():
                    raise headless(path, line + _lines_before_text(bytes(text)))
                continue
            if record is not None:
                yield record.name, record.whole()
            record = _Record(path, _name(bytes(text), path, line))
            if record.name in seen:
                raise duplicate_name(path, record.name, line)
            seen.add(record.name)
    if record is None:
        raise headless(path, None)
    yield record.name, record.whole()


def _segments(handle: BinaryIO, size: int) -> Iterator[tuple[int, bool, Codes, int]]:
    """Cut a FASTA into header lines (whole, without ``>``) and pieces of sequence.

    Yields the 1-based line on which each starts, whether it is a header, its letters, and the
    largest number of bytes that may still follow of its record. The letters are valid until the
    next piece is read.
    """
    line, at_line_start, passed = 1, True, 0
    header: bytearray | None = None
    buffer = bytearray(min(size, BLOCK))
    letters = np.frombuffer(buffer, dtype=np.uint8)
    while count := handle.readinto(buffer):  # type: ignore[attr-defined]
        at, passed = 0, passed + count
        while at < count:
            if header is not None:
                end = buffer.find(b"\n", at, count)
                header += buffer[at : count if end < 0 else end]
                at = count if end < 0 else end + 1
                if end >= 0:
                    yield line, True, np.frombuffer(header, dtype=np.uint8), 0
                    line, header, at_line_start = line + 1, None, True
            elif at_line_start and buffer[at] == HEADER:
                header, at = bytearray(), at + 1
            else:
                stop = buffer.find(b">", at, count)
                # A '>' that does not start a line is an invalid letter.
                ends = stop > at and buffer[stop - 1] == NEWLINE
                stop = stop if ends else count
                piece = letters[at:stop]
                yield line, False, piece, 0 if ends else max(0, size - passed)
                line += count_equal(piece, NEWLINE)
                at_line_start, at = buffer[stop - 1] == NEWLINE, stop
    if header is not None:
        yield line, True, np.frombuffer(header, dtype=np.uint8), 0


class _Record:
    """Codes of a record of unknown length, in one array that is made as large as it may get."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._codes, self._length = np.empty(0, dtype=np.uint8), 0

    def add(self, letters: Codes, line: int, more: int) -> None:
        """Append a piece that starts on a line; ``more`` bytes may follow."""
        least = self._length + letters.size
        if least > self._codes.size:
            # In a compressed file more may follow than the file has bytes.
            roomy = np.empty(max(least + more, 2 * self._length), dtype=np.uint8)
            roomy[: self._length] = self._codes[: self._length]
            self._codes = roomy
        end, seen = translate(letters, LINE_CODES, self._codes, self._length)
        if seen & REFUSED:
            index = int(np.flatnonzero(LINE_CODES[letters] == REFUSED)[0])
            before = int(np.count_nonzero(LINE_CODES[letters[:index]] != SKIPPED))
            raise refused_letter(
                int(letters[index]),
                self._length + before + 1,
                file=self.path,
                line=line + count_equal(letters[:index], NEWLINE),
                record=self.name,
            )
        self._length = end

    def whole(self) -> Codes:
        """The codes of the complete record."""
        if not self._length:
            raise _empty_record(self.path, self.name)
        self._codes.resize(self._length, refcheck=False)
        return self._codes


def _name(header: bytes, path: Path, line: int) -> str:
    words = header.decode("utf-8", errors="replace").split()
    if not words:
        raise nameless(path, line)
    return words[0]


def _lines_before_text(text: bytes) -> int:
    return text.count(b"\n", 0, len(text) - len(text.lstrip()))


def _empty_record(path: Path, name: str) -> InputError:
    return InputError(
        "the record has no sequence",
        file=path,
        record=name,
        remedy="Remove it from the file, or copy the file again if it is truncated",
    )
