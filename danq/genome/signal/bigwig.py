"""Read bigWig files.

The libraries for bigWig end the process at some damaged files, because they reserve as much memory
as a field of the file states. This reader checks every offset and size against the file first.

Notes
-----
The format: Kent et al., Bioinformatics 2010, supplementary tables 5-21.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from danq.errors import InputError
from danq.files.open_input import check_file, open_raw

MAGIC, CHROM_MAGIC, INDEX_MAGIC = 0x888FFC26, 0x78CA8C91, 0x2468ACE0
HEADER = struct.Struct("<IHHQQQHHQQIQ")
CHROM_HEADER = struct.Struct("<IIIIQQ")
INDEX_HEADER = struct.Struct("<IIQIIIIQII")
SECTION = struct.Struct("<IIIIIBBH")
BEDGRAPH, VARIABLE_STEP, FIXED_STEP = 1, 2, 3
"""Kinds of sections."""

_FIELDS = {
    BEDGRAPH: ("start", "end", "value"),
    VARIABLE_STEP: ("start", "value"),
    FIXED_STEP: ("value",),
}
_MOST_ITEMS = 65_535
_MOST_BYTES = SECTION.size + 12 * _MOST_ITEMS
_LONGEST_NAME = 4096
_BATCH = 1 << 18
"""Segments that are read before they are passed on."""


class Block(NamedTuple):
    """Blocks of data as the index describes them: arrays with one element per block."""

    contig: np.ndarray
    start: np.ndarray
    end_contig: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    size: np.ndarray


def is_bigwig(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a bigWig, of either byte order."""
    return head[:4] in (struct.pack("<I", MAGIC), struct.pack(">I", MAGIC))


class BigWig:
    """An open bigWig file.

    Parameters
    ----------
    path
        The file.
    handle
        The file, open.

    Attributes
    ----------
    contigs
        Length of each contig by name, in the order of the file.

    Raises
    ------
    InputError
        When it is not a bigWig file, or it is truncated or damaged.
    """

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path, self._handle = path, handle
        self._size = handle.seek(0, 2)
        head = self._bytes(0, HEADER.size)
        if not is_bigwig(head):
            raise InputError("is not a bigWig file", file=path, remedy="Check the path")
        self._order = "<" if head[:4] == struct.pack("<I", MAGIC) else ">"
        fields = self._unpack(HEADER, head)
        tree, index, self._compressed = fields[3], fields[5], fields[10] > 0
        self._ids = self._read_contigs(tree)
        self.contigs = dict(self._ids.values())
        if len(self.contigs) < len(self._ids):
            raise self._damaged("two contigs have the same name")
        self._numbers = {name: number for number, (name, _) in self._ids.items()}
        self._blocks = self._read_index(index)

    def segments(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield start, end (int64) and value (float64) of the segments of a contig, in batches.

        Raises
        ------
        InputError
            When a block of data is damaged.
        """
        number = self._numbers[name]
        batch: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        held = 0
        for row in np.flatnonzero(self._blocks.contig == number):
            block = self._read_block(int(row), number)
            batch.append(block)
            held += block[0].size
            if held >= _BATCH:
                yield tuple(np.concatenate(part) for part in zip(*batch, strict=True))  # type: ignore[misc]
                batch, held = [], 0
        if batch:
            yield tuple(np.concatenate(part) for part in zip(*batch, strict=True))  # type: ignore[misc]

    def _read_block(self, row: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        data = self._bytes(int(self._blocks.offset[row]), int(self._blocks.size[row]))
        if self._compressed:
            unpacker = zlib.decompressobj()
            try:
                data = unpacker.decompress(data, _MOST_BYTES)
            except zlib.error as error:
                raise self._damaged(f"a block of data cannot be unpacked ({error})") from error
            if not unpacker.eof:
                raise self._damaged("a block of data is truncated, or larger than allowed")
        if len(data) < SECTION.size:
            raise self._damaged("a block of data is truncated")
        contig, low, _, step, span, kind, _, count = self._unpack(SECTION, data[: SECTION.size])
        if contig != number or kind not in _FIELDS:
            raise self._damaged("a block of data is not the one that the index names")
        fields = _FIELDS[kind]
        types = [(name, f"{self._order}{'f4' if name == 'value' else 'u4'}") for name in fields]
        room = len(data) - SECTION.size
        if room < count * np.dtype(types).itemsize:
            raise self._damaged("a block of data is truncated")
        items = np.frombuffer(data, types, count, SECTION.size)
        start = (
            low + step * np.arange(count, dtype=np.int64)
            if kind == FIXED_STEP
            else items["start"].astype(np.int64)
        )
        end = items["end"].astype(np.int64) if kind == BEDGRAPH else start + span
        low, high = self._blocks.start[row], self._blocks.end[row]
        if count and (start[0] < low or end[-1] > high):
            raise self._damaged("a block of data is not the one that the index names")
        return start, end, items["value"].astype(np.float64)

    def _read_contigs(self, offset: int) -> dict[int, tuple[str, int]]:
        """Name and length of each contig by its number."""
        magic, _, key, value, count, _ = self._struct(CHROM_HEADER, offset)
        if magic != CHROM_MAGIC or value != 8 or not 0 < key <= _LONGEST_NAME:
            raise self._damaged("the list of contigs is not where the header says")
        found: dict[int, tuple[str, int]] = {}
        leaf = np.dtype([("key", f"S{key}"), ("id", self._order + "u4"), ("n", self._order + "u4")])
        inner = np.dtype([("key", f"S{key}"), ("child", self._order + "u8")])
        for items in self._leaves(offset + CHROM_HEADER.size, leaf, inner, count):
            for name, number, length in items.tolist():
                try:
                    found[number] = (name.rstrip(b"\0").decode("utf-8"), length)
                except UnicodeDecodeError as error:
                    raise self._damaged("the name of a contig is not UTF-8") from error
        if len(found) != count:
            raise self._damaged(f"it lists {len(found):,} of {count:,} contigs")
        return found

    def _read_index(self, offset: int) -> Block:
        """All blocks of data, in the order of the index."""
        magic, _, count, *_ = self._struct(INDEX_HEADER, offset)
        if magic != INDEX_MAGIC:
            raise self._damaged("the index is not where the header says")
        ends = [(name, self._order + "u4") for name in ("contig", "start", "end_contig", "end")]
        leaf = np.dtype([*ends, ("offset", self._order + "u8"), ("size", self._order + "u8")])
        inner = np.dtype([*ends, ("child", self._order + "u8")])
        leaves = list(self._leaves(offset + INDEX_HEADER.size, leaf, inner, count))
        items = np.concatenate(leaves) if leaves else np.empty(0, leaf)
        if items.size != count:
            raise self._damaged(f"the index lists {items.size:,} of {count:,} blocks of data")
        if np.any(items["contig"] != items["end_contig"]):
            raise self._damaged("a block of data has two contigs")
        if not np.isin(items["contig"], list(self._ids)).all():
            raise self._damaged("the index names a contig that is not listed")
        return Block(*(items[name].astype(np.int64) for name in leaf.names or ()))

    def _leaves(
        self, offset: int, leaf: np.dtype, inner: np.dtype, count: int
    ) -> Iterator[np.ndarray]:
        """Yield the items of the leaves of a tree, from left to right."""
        if count > self._size // leaf.itemsize:
            raise self._damaged(f"a tree of {count:,} items is larger than the file")
        pending, seen = [offset], 0
        while pending:
            at = pending.pop()
            seen += 1
            if seen > 2 * count + 2:
                raise self._damaged("a tree has more nodes than items")
            kind, _, items = self._struct(struct.Struct("<BBH"), at)
            node = leaf if kind else inner
            data = np.frombuffer(self._bytes(at + 4, items * node.itemsize), node)
            if kind:
                yield data
            else:
                pending += [int(child) for child in data["child"][::-1]]

    def _struct(self, layout: struct.Struct, offset: int) -> tuple:
        return self._unpack(layout, self._bytes(offset, layout.size))

    def _unpack(self, layout: struct.Struct, data: bytes) -> tuple:
        return struct.unpack(self._order + layout.format[1:], data)

    def _bytes(self, offset: int, size: int) -> bytes:
        if min(offset, size) < 0:  # numbers of 2 ** 63 and more
            raise self._damaged("an offset is outside the file")
        if offset + size > self._size:
            raise InputError(
                f"is truncated: it has {self._size:,} bytes, and data up to byte "
                f"{offset + size:,} belongs to it",
                file=self.path,
                remedy="Copy or download it again",
            )
        self._handle.seek(offset)
        return self._handle.read(size)

    def _damaged(self, problem: str) -> InputError:
        return InputError(
            f"is a damaged bigWig file: {problem}",
            file=self.path,
            remedy="Copy, download or make it again",
        )


@contextmanager
def open_bigwig(path: str | Path) -> Iterator[BigWig]:
    """Open a bigWig file.

    Raises
    ------
    InputError
        As `BigWig`; when the file is missing or empty.
    """
    path = check_file(path)
    with open_raw(path) as handle:
        yield BigWig(path, handle)
