"""The index of a FASTA (``.fai``), and its comparison with the content of the file."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from danq.files.text_tables import BYTE_ORDER_MARK
from danq.typing import IntRow

LINES = 256
"""Number of lines inside contigs whose place is compared with the index."""

GAP = 1 << 20
"""Largest number of bytes between two contigs: a header and blank lines."""

Read = Callable[[int, int], bytes]
"""Returns the uncompressed bytes of a file between two offsets, or less at its end."""

_DIGITS = 15
"""Largest number of digits of a byte or a length in an index: sums stay below 2^63."""

_LONGEST = 1 << 12
"""Largest number of bytes of a line of an index."""

_HEADER = rb">([^\r\n]*)(?:\r\n|\n|\r)[\r\n]*"
_FIRST = re.compile(rb"(?:[ \t]*[\r\n])*" + _HEADER)
_BETWEEN = re.compile(rb"[\r\n]+" + _HEADER)
_LINE_ENDS = (b"\n", b"\r\n", b"\r")


@dataclass(frozen=True, eq=False)
class FastaIndex:
    """Where the contigs of a FASTA are.

    Attributes
    ----------
    names
        Contig names, in the order of the file.
    length
        ``(C,)`` bases of each contig.
    offset
        ``(C,)`` byte of the first base, uncompressed.
    bases, width
        ``(C,)`` bases of a line, and bytes of a line with its line end. The last line of a
        contig may be shorter.
    """

    names: tuple[str, ...]
    length: IntRow
    offset: IntRow
    bases: IntRow
    width: IntRow

    def equals(self, other: FastaIndex) -> bool:
        """Whether both describe the same contigs at the same bytes."""
        if self.names != other.names:
            return False
        long = (self.length > self.bases) | (other.length > other.bases)
        return all(
            np.array_equal(one, two)
            for one, two in (
                (self.length, other.length),
                (self.offset, other.offset),
                (self.bases[long], other.bases[long]),
                (self.width[long], other.width[long]),
            )
        )

    def to_fai(self) -> bytes:
        """The index in the format of ``samtools faidx``."""
        rows = zip(
            self.names,
            self.length.tolist(),
            self.offset.tolist(),
            self.bases.tolist(),
            self.width.tolist(),
            strict=True,
        )
        return "".join("{}\t{}\t{}\t{}\t{}\n".format(*row) for row in rows).encode()


def read_fai(data: bytes) -> FastaIndex | None:
    """Read the content of a ``.fai`` file; None when it is not an index."""
    names: list[str] = []
    numbers = array("q")
    for line in BytesIO(data):
        if len(line) > _LONGEST:
            return None
        name, *fields = line.rstrip(b"\r\n").split(b"\t", 5)
        if len(fields) != 4 or not all(field.isdigit() for field in fields):
            return None
        if max(map(len, fields)) > _DIGITS:
            return None
        try:
            names.append(name.decode("utf-8"))
        except UnicodeDecodeError:
            return None
        numbers.extend(map(int, fields))
    columns = np.array(numbers, dtype=np.int64).reshape(-1, 4).T
    return FastaIndex(tuple(names), *np.ascontiguousarray(columns))


def record_name(header: bytes) -> str:
    """Name in a header line (without ``>``): its first word. Empty when there is none.

    Bytes that are not UTF-8 become surrogates, which `check_name` refuses.
    """
    words = header.split(maxsplit=1)
    return words[0].decode("utf-8", errors="surrogateescape") if words else ""


def mismatch(index: FastaIndex, read: Read, size: int) -> str | None:
    """Compare an index with the file.

    The bytes between two contigs must be one header with the name of the index, and the file must
    hold nothing else. Line ends are compared at both ends of each contig and at `LINES` lines
    between. A base that changed without a change of any line is not a mismatch.

    Parameters
    ----------
    index
        The index.
    read
        Reads the file.
    size
        Uncompressed bytes of the file.

    Returns
    -------
    str or None
        What is different, or None.
    """
    if not index.names or len(set(index.names)) < len(index.names):
        return "it is empty or repeats a name"
    end = index.width - index.bases
    if not np.all((index.length > 0) & (index.bases > 0) & (end > 0) & (end < 3)):
        return "it has a contig without bases or with impossible lines"
    stops = _stops(index)
    starts = index.offset
    if np.any(starts[1:] <= stops[:-1]) or starts[0] < 2 or stops[-1] > size:
        return "its contigs overlap or end after the file"
    previous = 0
    for number, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        if not _is_header(index.names[number], read, previous, start):
            return f"no header of {index.names[number]!r} is before its first base"
        previous = stop
    if size - previous > GAP or not _is_end(read(previous - 1, size)):
        return f"{index.names[-1]!r} is not at the end of the file"
    lines = -(-index.length // index.bases)
    share = np.minimum(-(-LINES * index.length // index.length.sum()) + 2, lines - 1)
    for number, (last, count) in enumerate(zip((lines - 1).tolist(), share.tolist(), strict=True)):
        for at in range(count):
            line = 1 + (last - 1) * at // max(1, count - 1)
            if not _is_line_start(index, read, number, line):
                return f"line {line + 1:,} of {index.names[number]!r} is not where it says"
    return None


def _stops(index: FastaIndex) -> IntRow:
    """Byte after the last base of each contig."""
    last = index.length - 1
    return index.offset + last // index.bases * index.width + last % index.bases + 1


def _is_end(text: bytes) -> bool:
    """Whether the last base and line ends are all that is left of a file."""
    return text[0] not in b"\r\n>" and not text[1:].strip(b"\r\n")


def _is_header(name: str, read: Read, previous: int, start: int) -> bool:
    """Whether only the header of a contig is between two bytes, with a letter on either side."""
    if start - previous > GAP:
        return False
    if previous == 0:
        text = b"A" + read(0, start + 1).removeprefix(BYTE_ORDER_MARK)
    else:
        text = read(previous - 1, start + 1)
    pattern = _BETWEEN if previous else _FIRST
    found = pattern.fullmatch(text, 1, len(text) - 1)
    return found is not None and record_name(found[1]) == name and _are_letters(text)


def _is_line_start(index: FastaIndex, read: Read, number: int, line: int) -> bool:
    """Whether a line end with a letter on either side is just before a line of a contig."""
    start = int(index.offset[number] + line * index.width[number])
    end = int(index.width[number] - index.bases[number])
    text = read(start - end - 1, start + 1)
    return text[1:-1] in _LINE_ENDS and len(text) == end + 2 and _are_letters(text)


def _are_letters(text: bytes) -> bool:
    """Whether neither the first nor the last byte is a line end or starts a header."""
    return text[0] not in b"\r\n>" and text[-1] not in b"\r\n>"
