"""Kernels that write the pieces of windows, in any order within a window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.genome.two_bit_packing import first_above
from danq.genome.variants.window_pieces import FIRST_CODE, OUTSIDE, WindowPieces
from danq.typing import Codes, IntRow


class Written(NamedTuple):
    """Pieces of windows while they are written; see `WindowPieces`.

    Attributes
    ----------
    first, at, source, codes
        Arrays to write to.
    used
        ``(2,)`` number of pieces and of codes, also of those for which there is no space.
    """

    first: IntRow
    at: IntRow
    source: IntRow
    codes: Codes
    used: IntRow

    @classmethod
    def empty(cls, windows: int, pieces: int, codes: int) -> Written:
        """Space for some pieces and codes."""
        first, used = np.zeros(windows + 1, dtype=np.int64), np.zeros(2, dtype=np.int64)
        at, source = np.empty((2, pieces), dtype=np.int64)
        return cls(first, at, source, np.empty(codes, dtype=np.uint8), used)

    @property
    def complete(self) -> bool:
        """Whether there was space for all."""
        return bool(self.used[0] <= self.at.size and self.used[1] <= self.codes.size)

    def pieces(self, length: int) -> WindowPieces:
        """The windows."""
        pieces, codes = self.used
        return WindowPieces(
            length, self.first, self.at[:pieces], self.source[:pieces], self.codes[:codes]
        )


@kernel
def is_stored(bases, bounds, n_start, n_end, position, codes):
    """Whether the genome has these codes at a position, and no N."""
    offset, length = bounds
    if position < 0 or position + codes.size > length:
        return False
    for i in range(codes.size):
        base = position + i
        if codes[i] != (bases[offset + base // 4] >> (2 * (base % 4))) & 3:
            return False
    origin = 4 * offset + position
    run = first_above(n_end, origin)
    return run == n_start.size or n_start[run] >= origin + codes.size


@kernel
def _add(target, at, source):
    """Add a piece, if there is space."""
    piece = target.used[0]
    if piece < target.at.size:
        target.at[piece], target.source[piece] = at, source
    target.used[0] += 1


@kernel
def add_codes(target, at, codes):
    """Add a piece of an allele."""
    start = target.used[1]
    if codes.size == 0:
        return
    if start + codes.size <= target.codes.size:
        for i in range(codes.size):
            target.codes[start + i] = codes[i]
    target.used[1] += codes.size
    _add(target, at, FIRST_CODE - start)


@kernel
def add_interval(target, at, size, first, bounds):
    """Add the pieces of an interval of a contig; return whether it extends past an end."""
    offset, length = bounds
    low = min(max(first, 0), length)
    high = min(max(first + size, low), length)
    if size > 0 and low >= high:
        _add(target, at, OUTSIDE)
    elif size > 0:
        if first < low:
            _add(target, at, OUTSIDE)
        _add(target, at + low - first, 4 * offset + low)
        if high < first + size:
            _add(target, at + high - first, OUTSIDE)
    return high - low < size


@kernel
def finish_window(target, row):
    """Sort the pieces of a window, and join pieces that are adjacent in the genome."""
    begin, end = target.first[row], target.used[0]
    if end <= target.at.size:
        for unsorted in range(begin + 1, end):
            at, source, piece = target.at[unsorted], target.source[unsorted], unsorted
            while piece > begin and target.at[piece - 1] > at:
                target.at[piece], target.source[piece] = (
                    target.at[piece - 1],
                    target.source[piece - 1],
                )
                piece -= 1
            target.at[piece], target.source[piece] = at, source
        kept = begin
        for piece in range(begin + 1, end):
            at, source = target.at[piece], target.source[piece]
            apart = at - target.at[kept]
            if target.source[kept] >= 0 and source == target.source[kept] + apart:
                continue
            kept += 1
            target.at[kept], target.source[kept] = at, source
        target.used[0] = kept + 1
    target.first[row + 1] = target.used[0]
