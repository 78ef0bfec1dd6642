"""Read any part of a bgzip file through the table of its blocks.

A bgzip file is a series of gzip members (blocks) of at most 64 KiB each, which state their own
compressed and uncompressed size (SAM specification, section 4.1).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.files.open_input import BGZF_HEAD, damaged, is_bgzip, read_at
from danq.typing import IntRow

CHECKED = 512
"""Largest number of rows of a table that are compared with the file."""

LAST_BLOCKS = 1024
"""Largest number of empty blocks that may follow the last row of a table."""

KEPT = 64
"""Number of uncompressed blocks that a reader keeps, at most 64 KiB each."""

_FIXED, _TRAILER = 12, 8
_MOST_LETTERS = 1 << 16


class Blocks(NamedTuple):
    """Table of the blocks that hold data.

    Attributes
    ----------
    start
        ``(K,)`` byte of the file at which each block starts.
    first
        ``(K + 1,)`` number of uncompressed bytes before each block; the last value is the total.
    """

    start: IntRow
    first: IntRow

    def to_gzi(self) -> bytes:
        """The table as a ``.gzi`` file, which leaves the first block out."""
        rows = np.stack([self.start[1:], self.first[1:-1]], axis=1).astype("<u8")
        return struct.pack("<Q", len(rows)) + rows.tobytes()


class _Block(NamedTuple):
    """A block of the file: the byte after it, and its uncompressed size."""

    end: int
    size: int


def find_blocks(file: int, path: Path) -> Blocks:
    """Find the blocks of a file by the sizes in their headers.

    Raises
    ------
    InputError
        When something else follows a block.
    """
    start, first, total = [], [], 0
    for at, block in _walk(file, 0, os.fstat(file).st_size):
        if block is None:
            raise damaged(path, ValueError(f"no bgzip block starts at byte {at}"))
        if block.size:
            start.append(at)
            first.append(total)
            total += block.size
    return Blocks(np.array(start, dtype=np.int64), np.array([*first, total], dtype=np.int64))


def read_gzi(file: int, gzi: bytes) -> Blocks | None:
    """Read the content of a ``.gzi`` file and compare it with the blocks of the bgzip file.

    At most `CHECKED` rows are compared, evenly spaced, and always the last.

    Returns
    -------
    Blocks or None
        None when the table is of another file.
    """
    if len(gzi) < 8 or len(gzi) != 8 + 16 * struct.unpack("<Q", gzi[:8])[0]:
        return None
    rows = np.frombuffer(gzi, dtype="<u8", offset=8).astype(np.int64).reshape(-1, 2)
    start, first = np.concatenate([[(0, 0)], rows]).T
    if np.any(np.diff(start) <= 0) or np.any(np.diff(first) <= 0):
        return None
    size = os.fstat(file).st_size
    if start[-1] >= size:
        return None
    count = len(start) - 1
    for row in (
        np.unique(np.linspace(0, count - 1, min(count, CHECKED)).astype(int)) if count else ()
    ):
        if _uncompressed(file, int(start[row]), int(start[row + 1])) != first[row + 1] - first[row]:
            return None
    last = _last_size(file, int(start[-1]), size)
    if last is None:
        return None
    return Blocks(start, np.append(first, first[-1] + last))


class BlockReader:
    """Read uncompressed bytes of an open bgzip file.

    Parameters
    ----------
    file
        Descriptor of the open file.
    path
        The file, for errors.
    blocks
        Its blocks.
    """

    def __init__(self, file: int, path: Path, blocks: Blocks) -> None:
        self.size = int(blocks.first[-1])
        self._blocks = blocks
        self._inflate = partial(_inflate_blocks, file, path, blocks, os.fstat(file).st_size)
        # Reads of neighbouring windows share blocks.
        self._kept = lru_cache(KEPT)(self._inflate)

    def __call__(self, low: int, high: int) -> bytes:
        """Bytes ``low`` to ``high`` (half-open), or less at the end of the file.

        Raises
        ------
        InputError
            When a block is damaged or is not where the table says.
        """
        high = min(high, self.size)
        if low >= high:
            return b""
        first = self._blocks.first
        row = int(first.searchsorted(low, side="right")) - 1
        stop = int(first.searchsorted(high, side="left"))
        offset = int(first[row])
        if stop > row + 2:
            return self._inflate(row, stop)[low - offset : high - offset]
        data = self._kept(row, row + 1)
        if stop > row + 1:
            data += self._kept(row + 1, stop)
        return data[low - offset : high - offset]


def _inflate_blocks(file: int, path: Path, blocks: Blocks, size: int, row: int, stop: int) -> bytes:
    """Data of rows ``row`` to ``stop`` (half-open) of a table, in a file of ``size`` bytes."""
    start, first = blocks
    begin = int(start[row])
    end = int(start[stop]) if stop < len(start) else size
    data = read_at(file, begin, end, path)
    pieces, at, done = [], 0, 0
    expected = int(first[stop] - first[row])
    while at < len(data) and done < expected:
        block = _block(data[at : at + BGZF_HEAD], at)
        if block is None or block.end > len(data):
            raise damaged(path, ValueError(f"no bgzip block starts at byte {begin + at:,}"))
        try:
            piece = inflate_block(data[at : block.end])
        except zlib.error as error:
            problem = f"{error}, in the block at byte {begin + at:,}"
            raise damaged(path, ValueError(problem)) from error
        pieces.append(piece)
        done, at = done + len(piece), block.end
    if done != expected:
        problem = f"the block at byte {begin:,} has another size than expected"
        raise damaged(path, ValueError(problem))
    return b"".join(pieces)


def block_size(head: bytes) -> int | None:
    """Bytes of the block that begins with ``head``; None when no block begins with it."""
    if not is_bgzip(head):
        return None
    size = struct.unpack("<H", head[BGZF_HEAD - 2 : BGZF_HEAD])[0] + 1
    return size if size >= BGZF_HEAD + _TRAILER else None


def inflate_block(block: bytes) -> bytes:
    """Uncompressed bytes of a block.

    Raises
    ------
    zlib.error
        When it is damaged.
    """
    begin = _FIXED + struct.unpack("<H", block[_FIXED - 2 : _FIXED])[0]
    data = zlib.decompress(block[begin:-_TRAILER], -zlib.MAX_WBITS, _MOST_LETTERS)
    checksum, size = struct.unpack("<II", block[-_TRAILER:])
    if size != len(data) or checksum != zlib.crc32(data):
        raise zlib.error("the checksum is wrong")
    return data


def _walk(file: int, at: int, end: int) -> Iterator[tuple[int, _Block | None]]:
    """Start of each block from ``at`` to ``end``, and None at bytes that are no block."""
    head = os.pread(file, BGZF_HEAD, at)
    while at < end:
        block = _block(head, at)
        if block is None or block.end > end:
            yield at, None
            return
        # The size is stored at the end of the block, just before the next header.
        tail = os.pread(file, 4 + BGZF_HEAD, block.end - 4)
        yield at, block._replace(size=struct.unpack("<I", tail[:4])[0])
        head, at = tail[4:], block.end


def _block(head: bytes, at: int) -> _Block | None:
    """The block that starts at byte ``at``; its uncompressed size is not known yet."""
    size = block_size(head)
    return None if size is None else _Block(at + size, 0)


def _uncompressed(file: int, start: int, end: int) -> int | None:
    """Uncompressed size of the blocks from ``start`` to exactly ``end``."""
    total = 0
    for _, block in _walk(file, start, end):
        if block is None:
            return None
        total += block.size
    return total


def _last_size(file: int, start: int, end: int) -> int | None:
    """Size of the last block with data, when only empty blocks follow it."""
    sizes: list[int] = []
    for _, block in _walk(file, start, end):
        if block is None or (sizes and block.size) or len(sizes) > LAST_BLOCKS:
            return None
        sizes.append(block.size)
    return sizes[0]
