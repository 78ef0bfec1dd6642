"""Pack one-hot sequences and 0/1 labels of other programs, slab by slab."""

from __future__ import annotations

import numpy as np

from danq._jit import kernel
from danq.datasets.array_files import Array
from danq.errors import InputError
from danq.typing import Codes, IntRow, LabelBatch

_ROWS = 4096  # rows packed at once, so that the output stays in the CPU cache
REMEDY = "Sequences must be one-hot, with all channels 0 (or 0.25) for N"


def as_bytes(slab: np.ndarray, quarters: bool = False) -> LabelBatch:
    """Convert values to uint8: 0 and 1 are kept, all others become larger than 1.

    Parameters
    ----------
    slab
        Numbers or booleans, of any shape.
    quarters
        Whether 0.25 becomes 0: some programs use it for N.
    """
    if slab.dtype.itemsize == 1:
        return slab.view(np.uint8)
    with np.errstate(invalid="ignore"):
        out = slab.astype(np.uint8)
    wrong = out != slab
    if wrong.any():
        out[wrong] = 255
        if quarters:
            out[slab == 0.25] = 0
    return out


def pack_slab(
    slab: np.ndarray, rows_last: bool, order: str, at: int, bases: Codes
) -> tuple[IntRow, IntRow] | None:
    """Pack a slab of one-hot sequences at two bits per base.

    Parameters
    ----------
    slab
        ``(P, 4, R)`` if rows are the last axis, else ``(R, 4, P)``; any numeric dtype.
    rows_last
        Whether rows are the last axis.
    order
        Order of the channels, such as ``"AGCT"``.
    at
        Position of the slab's first base in the sequences; a multiple of 4.
    bases
        ``(R, S)`` uint8 to write to, from byte ``at // 4``; N is 0.

    Returns
    -------
    row, position
        Row and position of each N, ``(U,)`` int64; None when a base is not one-hot.
    """
    slab = as_bytes(slab, quarters=True)
    channels = np.array([order.index(letter) for letter in "ACGT"])
    last = slab if rows_last else slab.transpose(2, 1, 0)
    pack = _pack_rows_last if rows_last else _pack_rows_first
    high, many, none = pack(np.ascontiguousarray(slab) if rows_last else slab, channels, at, bases)
    if high > 1 or many > 1:
        return None
    if not none:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    position, row = np.nonzero(~last.any(axis=1))
    return row, position + at


def first_bad_base(slab: np.ndarray, rows_last: bool) -> tuple[int, int, list[float]]:
    """Row, position and channels of the first base of a slab that is not one-hot."""
    last = as_bytes(slab, quarters=True) if rows_last else as_bytes(slab, True).transpose(2, 1, 0)
    bad = (last > 1).any(axis=1) | (last.sum(axis=1, dtype=np.int64) > 1)
    row, position = (int(index[0]) for index in np.nonzero(bad.T))
    column = slab[position, :, row] if rows_last else slab[row, :, position]
    return row, position, [float(value) for value in column]


@kernel
def _pack_rows_last(slab, channels, at, bases):
    """Fill ``bases``; return the OR of all values, the OR of all sums, and whether one was 0."""
    positions, _, rows = slab.shape
    high = np.uint8(0)
    many = np.uint8(0)
    none = np.uint8(0)
    held = np.empty(_ROWS, np.uint8)
    for low in range(0, rows, _ROWS):
        width = min(_ROWS, rows - low)
        for group in range((positions + 3) // 4):
            held[:] = 0
            for k in range(min(4, positions - 4 * group)):
                base = slab[4 * group + k]
                a = base[channels[0], low : low + width]
                c = base[channels[1], low : low + width]
                g = base[channels[2], low : low + width]
                t = base[channels[3], low : low + width]
                shift = np.uint8(2 * k)
                for r in range(width):
                    total = np.uint8(a[r] + c[r] + g[r] + t[r])
                    high |= a[r] | c[r] | g[r] | t[r]
                    many |= total
                    none |= total ^ np.uint8(1)
                    code = np.uint8((c[r] | t[r]) | ((g[r] | t[r]) << np.uint8(1)))
                    held[r] |= np.uint8(code << shift)
            byte = at // 4 + group
            for r in range(width):
                bases[low + r, byte] = held[r]
    return high, many, none & np.uint8(1)


@kernel
def _pack_rows_first(slab, channels, at, bases):
    """Like `_pack_rows_last`, for rows on the first axis."""
    rows, _, positions = slab.shape
    high = np.uint8(0)
    many = np.uint8(0)
    none = np.uint8(0)
    for row in range(rows):
        a = slab[row, channels[0]]
        c = slab[row, channels[1]]
        g = slab[row, channels[2]]
        t = slab[row, channels[3]]
        for group in range((positions + 3) // 4):
            held = np.uint8(0)
            for k in range(min(4, positions - 4 * group)):
                p = 4 * group + k
                total = np.uint8(a[p] + c[p] + g[p] + t[p])
                high |= a[p] | c[p] | g[p] | t[p]
                many |= total
                none |= total ^ np.uint8(1)
                code = np.uint8((c[p] | t[p]) | ((g[p] | t[p]) << np.uint8(1)))
                held |= np.uint8(code << np.uint8(2 * k))
            bases[row, at // 4 + group] = held
    return high, many, none & np.uint8(1)


def pack_labels(slab: np.ndarray, rows_last: bool, at: int, packed: LabelBatch) -> bool:
    """Pack a slab of labels at one bit per label.

    Parameters
    ----------
    slab
        ``(k, R)`` if rows are the last axis, else ``(R, K)``; any numeric dtype.
    rows_last
        Whether rows are the last axis.
    at
        Index of the slab's first track; a multiple of 8.
    packed
        ``(R, ceil(K / 8))`` uint8 to write to, from byte ``at // 8``.

    Returns
    -------
    bool
        Whether all labels are 0 or 1.
    """
    slab = np.ascontiguousarray(as_bytes(slab))
    if rows_last:
        return bool(_pack_labels(slab, at, packed) <= 1)
    packed[:] = np.packbits(slab, axis=1, bitorder="little")
    return slab.size == 0 or int(slab.max()) <= 1


@kernel
def _pack_labels(slab, at, packed):
    """Fill ``packed`` from labels with rows on the last axis; return the OR of all values."""
    tracks, rows = slab.shape
    high = np.uint8(0)
    held = np.empty(_ROWS, np.uint8)
    for low in range(0, rows, _ROWS):
        width = min(_ROWS, rows - low)
        for group in range((tracks + 7) // 8):
            held[:] = 0
            for k in range(min(8, tracks - 8 * group)):
                line = slab[8 * group + k, low : low + width]
                shift = np.uint8(k)
                for r in range(width):
                    high |= line[r]
                    held[r] |= np.uint8(line[r] << shift)
            byte = at // 8 + group
            for r in range(width):
                packed[low + r, byte] = held[r]
    return high


def not_one_hot(array: Array, row: int, position: int, values: list[float]) -> InputError:
    """Make the error for a base that is not one-hot."""
    shown = ", ".join(f"{value:g}" for value in values)
    return InputError(
        f"'{array.name}' is not one-hot: the channels of base {position + 1:,} "
        f"of sequence {row + 1:,} are {shown}",
        file=array.path,
        remedy=REMEDY,
    )
