"""Read FASTA files as codes: a genome by position, or records in order."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from danq.errors import InputError
from danq.files.open_input import open_bytes
from danq.files.pipes import local_path
from danq.files.text_tables import BYTE_ORDER_MARK
from danq.genome.fasta_errors import (
    MAX_HEADER,
    check_name,
    empty_record,
    headless,
    long_header,
)
from danq.genome.fasta_index import record_name
from danq.genome.indexed_fasta import IndexedFasta
from danq.genome.nucleotide_codes import (
    LINE_CODES,
    REFUSED,
    SKIPPED,
    count_line_ends,
    refused_letter,
    translate,
)
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import check_interval
from danq.notebook_display import Display, FirstRows, display_html
from danq.typing import Codes

log = logging.getLogger("danq")

BLOCK = 1 << 20
_SHOWN = 200
HEADER = ord(">")
LINE_ENDS = b"\n\r"
LINE_END = re.compile(rb"[\n\r]")


class Genome:
    """A FASTA file with random access through its index.

    A gzip file is unpacked once into the cache, with a message; plain and bgzip files are read
    directly. The index next to the file is compared with the file, so that an index of another
    file is never used. If there is none, it is written there, or to the cache if that folder is
    read-only.

    Parameters
    ----------
    path
        FASTA file; all lines of a record except the last must have the same length. Lines end in
        LF, CRLF or CR. A byte-order mark, and blank lines between records are skipped.

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
        self._fasta = IndexedFasta(self.path)
        index = self._fasta.index
        self.contigs: dict[str, int] = dict(zip(index.names, index.length.tolist(), strict=True))

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

    _repr_html_ = display_html

    def _display(self) -> Display:
        bases, count = sum(self.contigs.values()), len(self.contigs)
        table = {"contig": [*self.contigs], "bases": [*self.contigs.values()]}
        tables = [FirstRows.of("Contigs", table)]
        return Display(f"{self.path}: {bases:,} bases in {count:,} contigs", tables=tables)

    def close(self) -> None:
        """Close the file."""
        self._fasta.close()

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
            not a DNA letter, or the file was closed or changed after it was opened.
        """
        self._fasta.check_unchanged()
        check_interval(self.contigs, contig, start, end)
        stop = self.contigs[contig] if end is None else end
        if 0 < stop - start <= BLOCK:
            return self._block(contig, start, stop)
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
            When a character is not a DNA letter or the file changed after it was opened.
        """
        return PackedGenome.from_contigs((name, self.codes(name)) for name in self.contigs)

    def _block(self, contig: str, low: int, high: int) -> Codes:
        data = self._fasta.read(contig, low, high)
        letters = np.frombuffer(data, dtype=np.uint8)
        codes = np.empty(letters.size, dtype=np.uint8)
        count, seen = translate(letters, LINE_CODES, codes, 0)
        if count != high - low or (seen & REFUSED and HEADER in letters):
            raise InputError(
                f"bases {low + 1:,} to {high:,} are not where the index says",
                file=self.path,
                record=contig,
                remedy="Build its index again, for example with 'samtools faidx'",
            )
        if seen & REFUSED:
            letters = letters[LINE_CODES[letters] != SKIPPED]
            index = int(np.flatnonzero(codes[:count] & REFUSED)[0])
            position = low + index + 1
            raise refused_letter(int(letters[index]), position, file=self.path, record=contig)
        return codes[:count]


def read_fasta(path: str | Path) -> Iterator[tuple[str, Codes]]:
    """Read the records of a FASTA in order, without an index.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. Lines may be of any length and end in LF, CRLF or CR; blank
        lines and a byte-order mark are skipped.

    Yields
    ------
    name : str
        First word of the header. Names may repeat.
    codes : Codes
        ``(L,)`` uint8: A 0, C 1, G 2, T 3, N 4.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, or holds no
        record; at text before the first header, a header without a name, a record without
        sequence, and a character that is not a DNA letter.
    """
    path = Path(path)
    # 8 bytes a record, where a set of names would take 150.
    names = array("q")
    record: _Record | None = None
    with open_bytes(path) as handle:
        for line, is_header, text, more in _segments(handle, path):
            if not is_header:
                if record is not None:
                    record.add(text, line, more)
                elif start := bytes(text).lstrip():
                    blank = count_line_ends(text[: text.size - len(start)])
                    raise headless(path, line + blank, start[:_SHOWN])
                continue
            if record is not None:
                yield record.name, record.whole()
            record = _Record(path, record_name(bytes(text)), line)
            names.append(hash(record.name))
    if record is None:
        raise headless(path, None)
    yield record.name, record.whole()
    if repeated := len(names) - np.unique(names).size:
        log.info("%s: records with the name of an earlier record: %s", path, f"{repeated:,}")


def _segments(handle: BinaryIO, path: Path) -> Iterator[tuple[int, bool, Codes, int]]:
    """Cut a FASTA into header lines (whole, without ``>``) and pieces of sequence.

    Yields the 1-based line on which each starts, whether it is a header, its letters, and the
    largest number of bytes that may still follow of its record. The letters are valid until the
    next piece is read.

    Raises
    ------
    InputError
        At a header of more than `MAX_HEADER` bytes.
    """
    size = local_path(path).stat().st_size
    line, passed = 1, 0
    before = LINE_ENDS[0]
    header: bytearray | None = None
    if handle.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        handle.seek(0)
    buffer = bytearray(min(size, BLOCK))
    letters = np.frombuffer(buffer, dtype=np.uint8)
    while count := handle.readinto(buffer):  # type: ignore[attr-defined]
        at, passed = 0, passed + count
        while at < count:
            if header is not None:
                found = LINE_END.search(buffer, at, count)
                end = count if found is None else found.start()
                header += buffer[at:end]
                if len(header) > MAX_HEADER:
                    raise long_header(path, line)
                at = end + 1
                if end < count:
                    yield line, True, np.frombuffer(header, dtype=np.uint8), 0
                    line, header, before = line + 1, None, buffer[end]
            elif before in LINE_ENDS and buffer[at] == HEADER:
                header, at = bytearray(), at + 1
            else:
                stop = buffer.find(b">", at, count)
                # A '>' that does not start a line is an invalid letter.
                ends = stop > at and buffer[stop - 1] in LINE_ENDS
                stop = stop if ends else count
                piece = letters[at:stop]
                # LF after CR continues the end of the line before.
                line -= bytes((before, buffer[at])) == b"\r\n"
                yield line, False, piece, 0 if ends else max(0, size - passed)
                line += count_line_ends(piece)
                before, at = buffer[stop - 1], stop
    if header is not None:
        yield line, True, np.frombuffer(header, dtype=np.uint8), 0


class _Record:
    """Codes of a record of unknown length, in one array that is made as large as it may get."""

    def __init__(self, path: Path, name: str, line: int) -> None:
        check_name(name, path, line)
        self.path, self.name, self.line = path, name, line
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
                line=line + count_line_ends(letters[:index]),
                record=self.name,
            )
        self._length = end

    def whole(self) -> Codes:
        """The codes of the complete record."""
        if not self._length:
            raise empty_record(self.path, self.name, self.line)
        self._codes.resize(self._length, refcheck=False)
        return self._codes
