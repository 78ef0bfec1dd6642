"""Sample negative bins, matched on the GC content of the positive ones."""

from __future__ import annotations

import logging

import numpy as np

from danq._jit import kernel
from danq.datasets.bin_grid import BLOCK, NEGATIVE, Grid
from danq.genome.packed_genome import PackedGenome
from danq.typing import IntRow

log = logging.getLogger("danq")

GC_STEPS = 50
"""Number of classes of GC content, each 2 % wide."""

_PAIRS = (np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3
GC_OF_BYTE = ((_PAIRS == 1) | (_PAIRS == 2)).sum(axis=1).astype(np.uint8)
"""``(256,)`` uint8: number of G and C among the four bases of each packed byte."""


def thin_negatives(
    grid: Grid, genome: PackedGenome, positive: np.ndarray, negatives: str | float, seed: int
) -> None:
    """Drop or sample negative bins: those without a positive track.

    Parameters
    ----------
    grid
        Bins with their splits; changed in place.
    genome
        The packed genome.
    positive
        ``(n,)`` bool, whether a bin has a positive track.
    negatives
        "keep" keeps all. "drop" drops all, in every split, as DeepSEA does. A number keeps that
        many per positive bin in training. They are drawn without replacement so that the GC
        content of their windows (in classes 2 % wide) equals that of the positive windows; a
        class with too few keeps all of them, with a warning. Validation and test keep all
        negatives, so that metrics refer to the whole genome.
    seed
        Random seed.
    """
    if negatives == "keep":
        return
    if negatives == "drop":
        grid.fate[(grid.fate < 3) & ~positive] = NEGATIVE
        return
    train = np.flatnonzero(grid.fate == 0)
    has = positive[train]
    classes = gc_classes(grid, genome, train)
    quota = np.bincount(classes[has], minlength=GC_STEPS) * float(negatives)
    # Rounding the cumulative sum keeps the total right when many classes have half a bin.
    quota = np.diff(np.rint(np.cumsum(np.concatenate([[0.0], quota])))).astype(np.int64)
    rng = np.random.default_rng(seed)
    short = 0
    grid.fate[train[~has]] = NEGATIVE
    for number in range(GC_STEPS):
        available = train[~has & (classes == number)]
        take = min(int(quota[number]), available.size)
        short += int(quota[number]) - take
        grid.fate[rng.choice(available, take, replace=False)] = 0
    if short:
        log.warning(
            "%d of %d negative bins are missing: too few have the GC content of positive bins",
            short,
            quota.sum(),
        )


def gc_classes(grid: Grid, genome: PackedGenome, bins: IntRow) -> np.ndarray:
    """Class of GC content of the windows of bins, ``(n,)`` uint8 below ``GC_STEPS``.

    N does not count; a window of N only is in class 0.
    """
    geometry = grid.geometry
    numbers = np.array([genome.numbers[name] for name in grid.contigs], dtype=np.int64)
    classes = np.empty(bins.size, dtype=np.uint8)
    for low in range(0, bins.size, BLOCK):
        part = bins[low : low + BLOCK]
        contig, start = grid.positions(part)
        contig, start = numbers[contig], start - geometry.before
        gc = np.empty(part.size, dtype=np.int64)
        _count_gc(genome.bases, genome.offsets, genome.lengths, contig, start, geometry.window, gc)
        known = geometry.window - genome.unknown(contig, start, geometry.window)
        share = gc / np.maximum(known, 1)
        classes[low : low + BLOCK] = np.minimum(share * GC_STEPS, GC_STEPS - 1)
    return classes


@kernel
def _count_gc(bases, offsets, lengths, contig, start, length, out):
    """Count G and C in windows; N is packed as A, so it does not count."""
    for row in range(out.size):
        low = max(start[row], 0)
        high = min(start[row] + length, lengths[contig[row]])
        offset = offsets[contig[row]]
        total = 0
        while low < high and low % 4:
            total += GC_OF_BYTE[bases[offset + low // 4] & (3 << (2 * (low % 4)))]
            low += 1
        while high > low and high % 4:
            high -= 1
            total += GC_OF_BYTE[bases[offset + high // 4] & (3 << (2 * (high % 4)))]
        for byte in range(offset + low // 4, offset + high // 4):
            total += GC_OF_BYTE[bases[byte]]
        out[row] = total


def _plain_count_gc(genome: PackedGenome, contig: IntRow, start: IntRow, length: int) -> IntRow:
    """Plain twin of :func:`_count_gc` on unpacked windows."""
    codes = genome.windows(contig, start, length)
    return ((codes == 1) | (codes == 2)).sum(axis=1)
