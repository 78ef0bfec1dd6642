"""FASTA files to codes: a genome by place, or records one after the other."""

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
from danq.genome.alphabet import LINE_CODES, REFUSED, SKIPPED, refused_letter, translate
from danq.genome.fai import duplicate_name, headless, nameless, open_index, readable_fasta
from danq.genome.files import damaged, open_bytes
from danq.genome.packed import PackedGenome, check_stretch
from danq.typing import Codes

BLOCK = 1 << 22
NEWLINE, HEADER = b"\n>"


class Genome:
    """A FASTA file, read in places through its index.

    Plain and bgzip files are read as they are; a gzip file is unpacked once into the
    cache, with a notice. The index is kept beside the file, or in the cache where that
    folder is read-only; one older than the file is built anew.

    Parameters
    ----------
    path
        FASTA file; all lines of a record but its last must be of one length.

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
        """Close the file; reading after that is an error."""
        self._index.close()

    def codes(self, contig: str, start: int = 0, end: int | None = None) -> Codes:
        """Codes of one stretch of a contig.

        Parameters
        ----------
        contig
            Name in ``contigs``.
        start, end
            Stretch, 0-based half-open, inside the contig. An ``end`` of None is the
            contig's end.

        Returns
        -------
        Codes
            ``(end - start,)`` uint8: A 0, C 1, G 2, T 3, unknown 4.

        Raises
        ------
        InputError
            When the genome has no such contig, the stretch leaves it, a letter stands for
            no base, or the file does not fit its index.
        """
        check_stretch(self.contigs, contig, start, end)
        stop = self.contigs[contig] if end is None else end
        codes = np.empty(stop - start, dtype=np.uint8)
        for low in range(start, stop, BLOCK):
            high = min(low + BLOCK, stop)
            codes[low - start : high - start] = self._block(contig, low, high)
        return codes

    def pack(self) -> PackedGenome:
        """Read the whole genome at two bits a base, one contig at a time.

        Raises
        ------
        InputError
            When a letter stands for no base or the file does not fit its index.
        """
        return PackedGenome.from_contigs((name, self.codes(name)) for name in self.contigs)

    def _block(self, contig: str, low: int, high: int) -> Codes:
        letters = self._letters(contig, low, high)
        codes = np.empty(letters.size, dtype=np.uint8)
        count, seen = translate(letters, LINE_CODES, codes, 0)
        if count != high - low or (seen & REFUSED and HEADER in letters):
            raise InputError(
                f"the index says that bases {low + 1:,} to {high:,} are here, but they are not",
                file=self._index.indexname,
                record=contig,
                remedy="The index belongs to another file; delete it, and it is made again",
            )
        if seen & REFUSED:
            letters = letters[LINE_CODES[letters] != SKIPPED]
            place = int(np.flatnonzero(codes[:count] & REFUSED)[0])
            position = low + place + 1
            raise refused_letter(int(letters[place]), position, file=self.path, record=contig)
        return codes[:count]

    def _letters(self, contig: str, low: int, high: int) -> Codes:
        """Bytes of the file that hold a stretch, maybe with line ends among them."""
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
    """Read the records of a FASTA one after the other, without an index.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. Lines may be of any length; blank lines are skipped.

    Yields
    ------
    name : str
        The header up to its first blank.
    codes : Codes
        ``(L,)`` uint8: A 0, C 1, G 2, T 3, unknown 4.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, or holds no
        record; at text before the first header, a header without a name, a name met
        before, a record without sequence, and a letter that stands for no base.
    """
    path = Path(path)
    seen: set[str] = set()
    name: str | None = None
    parts: list[Codes] = []
    with open_bytes(path) as handle:
        for line, is_header, text in _segments(handle):
            if not is_header:
                if name is not None:
                    parts.append(_translated(text, path, name, line, sum(map(len, parts))))
                elif text.strip():
                    raise headless(path, line + _lines_before_text(text))
                continue
            if name is not None:
                yield name, _joined(parts, path, name)
            name = _name(text, path, line)
            if name in seen:
                raise duplicate_name(path, name, line)
            seen.add(name)
            parts = []
    if name is None:
        raise headless(path, None)
    yield name, _joined(parts, path, name)


def _segments(handle: BinaryIO) -> Iterator[tuple[int, bool, bytes]]:
    """Cut a FASTA into header lines (whole, without ``>``) and pieces of sequence.

    Each comes with the 1-based line on which it starts.
    """
    line, header, at_line_start = 1, None, True
    while block := handle.read(BLOCK):
        at = 0
        while at < len(block):
            if header is not None:
                end = block.find(b"\n", at)
                header += block[at:] if end < 0 else block[at:end]
                at = len(block) if end < 0 else end + 1
                if end >= 0:
                    yield line, True, header
                    line, header, at_line_start = line + 1, None, True
            elif at_line_start and block[at] == HEADER:
                header, at = b"", at + 1
            else:
                end = block.find(b"\n>", at)
                stop = len(block) if end < 0 else end + 1
                piece = block[at:stop]
                yield line, False, piece
                line += piece.count(b"\n")
                at_line_start, at = piece[-1] == NEWLINE, stop
    if header is not None:
        yield line, True, header


def _translated(text: bytes, path: Path, name: str, line: int, before: int) -> Codes:
    letters = np.frombuffer(text, dtype=np.uint8)
    codes = np.empty(letters.size, dtype=np.uint8)
    count, seen = translate(letters, LINE_CODES, codes, 0)
    if seen & REFUSED:
        place = int(np.flatnonzero(LINE_CODES[letters] == REFUSED)[0])
        position = before + int(np.count_nonzero(LINE_CODES[letters[:place]] != SKIPPED)) + 1
        line += text.count(b"\n", 0, place)
        raise refused_letter(text[place], position, file=path, line=line, record=name)
    return codes[:count]


def _joined(parts: list[Codes], path: Path, name: str) -> Codes:
    codes = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])
    if codes.size == 0:
        raise _empty_record(path, name)
    return codes


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
        remedy="Take it out of the file, or copy the file again if it was cut short",
    )
