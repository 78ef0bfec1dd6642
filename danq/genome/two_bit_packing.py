"""Kernels that pack codes at two bits per base, and read windows back as codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.typing import BoolRow, CodeBatch, Codes, IntRow

_BYTES = np.arange(256, dtype=np.uint8)[:, None]
UNPACKED: Codes = (_BYTES >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
UNPACKED_REVERSE: Codes = np.ascontiguousarray(3 - UNPACKED[:, ::-1])


class PackedArrays(NamedTuple):
    """The arrays of :class:`danq.genome.packed_genome.PackedGenome`, as the kernels take them."""

    bases: Codes
    offsets: IntRow
    lengths: IntRow
    n_start: IntRow
    n_end: IntRow


def pack(codes: Codes, *, record: str | None = None) -> tuple[Codes, IntRow, IntRow]:
    """Pack one contig.

    Parameters
    ----------
    codes
        ``(L,)`` uint8 codes.
    record
        Name of the contig, for the error.

    Returns
    -------
    bases
        ``(ceil(L / 4),)`` uint8, first base in the lowest two bits.
    start, end
        ``(R,)`` int64 runs of N, 0-based half-open on the contig.

    Raises
    ------
    InputError
        When a code is above 4 or the array is not one-dimensional uint8.
    """
    if codes.ndim != 1 or codes.dtype != np.uint8:
        raise InputError(f"codes are {codes.dtype} of shape {codes.shape}, not (L,) uint8")
    codes = np.ascontiguousarray(codes)
    bases = np.empty((codes.size + 3) // 4, dtype=np.uint8)
    n_edges, highest = _pack(codes, bases)
    if highest > N:
        raise InputError(f"a code of {highest} is above 4", record=record)
    edges = np.empty(n_edges + n_edges % 2, dtype=np.int64)
    _find_runs(codes, edges)
    return bases, edges[0::2].copy(), edges[1::2].copy()


@kernel
def _pack(codes, bases):
    """Fill ``bases``; return the number of run edges and the highest code."""
    full = codes.size // 4
    highest = np.uint8(0)
    for i in range(full):
        a, b, c, d = codes[4 * i], codes[4 * i + 1], codes[4 * i + 2], codes[4 * i + 3]
        bases[i] = (a & 3) | ((b & 3) << 2) | ((c & 3) << 4) | ((d & 3) << 6)
        highest = max(highest, max(max(a, b), max(c, d)))
    if full < bases.size:
        byte = 0
        for k in range(codes.size - 4 * full):
            byte |= (codes[4 * full + k] & 3) << (2 * k)
            highest = max(highest, codes[4 * full + k])
        bases[full] = byte
    edges = 0
    for i in range(1, codes.size):
        edges += (codes[i] >= 4) != (codes[i - 1] >= 4)
    if codes.size and codes[0] >= 4:
        edges += 1
    return edges, highest


@kernel
def _find_runs(codes, edges):
    """Fill ``edges`` with start, end, start, end... of the runs of N."""
    count = 0
    inside = False
    for i in range(codes.size):
        if (codes[i] >= 4) != inside:
            edges[count] = i
            count += 1
            inside = not inside
    if inside:
        edges[count] = codes.size


# numba compiles these two in a fraction of the time of np.searchsorted and of an assignment to a
# slice.
@kernel
def first_above(values, limit):
    """Index of the first of some sorted integers that is above a limit."""
    low, high = 0, values.size
    while low < high:
        middle = (low + high) >> 1
        if values[middle] <= limit:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def fill_n(codes, low, high):
    """Set codes from index ``low`` to ``high`` to N."""
    for i in range(low, high):
        codes[i] = 4


@kernel
def read_windows(genome, contig, start, reverse, out):
    """Fill ``out`` ``(B, L)`` as :meth:`danq.genome.packed_genome.PackedGenome.windows` does."""
    bases, offsets, lengths, n_start, n_end = genome
    length = out.shape[1]
    for row in range(out.shape[0]):
        size = lengths[contig[row]]
        first = start[row]
        low = min(max(first, 0), size)
        high = min(max(first + length, low), size)
        target = out[row]
        if high - low < length:
            fill_n(target, np.int64(0), length)
        if low == high:
            continue
        offset = offsets[contig[row]]
        if reverse[row]:
            _read_reverse(bases, offset, low, high, target, first + length - 1)
        else:
            _read_forward(bases, offset, low, high, target, first)
        origin = 4 * offset
        run = first_above(n_end, origin + low)
        while run < n_start.size and n_start[run] < origin + high:
            run_low = max(n_start[run] - origin, low)
            run_high = min(n_end[run] - origin, high)
            if reverse[row]:
                fill_n(target, first + length - run_high, first + length - run_low)
            else:
                fill_n(target, run_low - first, run_high - first)
            run += 1


@kernel
def read_interval(bases, offset, length, n_start, n_end, first, target):
    """Fill ``target`` with the codes of a contig from position ``first`` on.

    The contig starts at byte ``offset`` and has ``length`` bases; outside it, codes are 4.

    Returns
    -------
    bool
        Whether the interval extends past an end of the contig.
    """
    low = min(max(first, 0), length)
    high = min(max(first + target.size, low), length)
    if low < high:
        _read_forward(bases, offset, low, high, target, first)
        origin = 4 * offset
        run = first_above(n_end, origin + low)
        while run < n_start.size and n_start[run] < origin + high:
            run_low = max(n_start[run] - origin, low)
            run_high = min(n_end[run] - origin, high)
            fill_n(target, run_low - first, run_high - first)
            run += 1
    outside = high - low < target.size
    if outside:
        fill_n(target, np.int64(0), low - first)
        fill_n(target, max(high - first, 0), target.size)
    return outside


@kernel
def _read_forward(bases, offset, low, high, target, first):
    """Write position ``p`` of the contig to ``target[p - first]``."""
    position = low
    while position < high and position % 4 != 0:
        target[position - first] = UNPACKED[bases[offset + position // 4], position % 4]
        position += 1
    at = position - first
    byte = offset + position // 4
    for _ in range((high - position) // 4):
        value = bases[byte]
        target[at] = UNPACKED[value, 0]
        target[at + 1] = UNPACKED[value, 1]
        target[at + 2] = UNPACKED[value, 2]
        target[at + 3] = UNPACKED[value, 3]
        at += 4
        byte += 1
    for k in range((high - position) % 4):
        target[at + k] = UNPACKED[bases[byte], k]


@kernel
def _read_reverse(bases, offset, low, high, target, last):
    """Write the complement of position ``p`` of the contig to ``target[last - p]``."""
    position = low
    while position < high and position % 4 != 0:
        target[last - position] = UNPACKED_REVERSE[bases[offset + position // 4], 3 - position % 4]
        position += 1
    at = last - position - 3
    byte = offset + position // 4
    for _ in range((high - position) // 4):
        value = bases[byte]
        target[at] = UNPACKED_REVERSE[value, 0]
        target[at + 1] = UNPACKED_REVERSE[value, 1]
        target[at + 2] = UNPACKED_REVERSE[value, 2]
        target[at + 3] = UNPACKED_REVERSE[value, 3]
        at -= 4
        byte += 1
    for k in range((high - position) % 4):
        target[at + 3 - k] = UNPACKED_REVERSE[bases[byte], 3 - k]


def _plain_pack(codes: Codes) -> tuple[Codes, IntRow, IntRow]:
    """Plain twin of :func:`pack` in numpy."""
    padded = np.zeros((codes.size + 3) // 4 * 4, dtype=np.uint8)
    padded[: codes.size] = np.where(codes > 3, 0, codes)
    quads = padded.reshape(-1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)
    unknown = np.concatenate([[0], codes > 3, [0]]).astype(np.int8)
    step = np.diff(unknown)
    return quads.sum(axis=1, dtype=np.uint8), np.flatnonzero(step == 1), np.flatnonzero(step == -1)


def _plain_read_windows(
    genome: PackedArrays, contig: IntRow, start: IntRow, reverse: BoolRow, out: CodeBatch
) -> None:
    """Plain twin of :func:`read_windows` in numpy, one base at a time."""
    position = start[:, None] + np.arange(out.shape[1])
    known = (position >= 0) & (position < genome.lengths[contig][:, None])
    base = 4 * genome.offsets[contig][:, None] + position
    for run_start, run_end in zip(genome.n_start, genome.n_end, strict=True):
        known &= ~((base >= run_start) & (base < run_end))
    row, column = np.nonzero(known)
    at = base[known]
    out[:] = N
    out[row, column] = (genome.bases[at // 4] >> (2 * (at % 4)).astype(np.uint8)) & 3
    out[reverse] = np.array([3, 2, 1, 0, 4], dtype=np.uint8)[out[reverse, ::-1]]
