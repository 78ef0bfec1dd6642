"""Find the positive bins of a contig: those that a track's peaks cover by a minimum fraction."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from danq._jit import kernel
from danq.errors import InputError
from danq.typing import IntRow


def least_cover(bin_size: int, min_overlap: float) -> int:
    """Bases of a bin that peaks must cover for it to be positive.

    Parameters
    ----------
    bin_size
        Bases of a bin.
    min_overlap
        Fraction of the bin, above 0 and at most 1.

    Returns
    -------
    int
        ``min_overlap * bin_size`` rounded up, and at least 1.

    Raises
    ------
    InputError
        When ``bin_size`` is below 1 or ``min_overlap`` outside its limits.
    """
    if bin_size < 1:
        raise InputError(f"a bin of {bin_size} bases is below 1")
    if not 0 < min_overlap <= 1:
        raise InputError(
            f"min_overlap is {min_overlap:g}, not above 0 and at most 1",
            remedy="Give the fraction of a bin that peaks must cover, such as 0.5",
        )
    # 0.3 * 10 may be 3.0000000000000004; rounding must not raise the limit to 4.
    return max(1, math.ceil(min_overlap * bin_size - 1e-9))


def positive_indices(
    start: ArrayLike,
    end: ArrayLike,
    n_bins: int,
    bin_size: int,
    min_overlap: float,
    stride: int | None = None,
    offset: int = 0,
) -> np.ndarray:
    """Indices of the positive bins of one track on one contig.

    Bin ``i`` covers ``[offset + i * stride, offset + i * stride + bin_size)``. It is positive
    when the union of the peaks covers at least ``min_overlap`` of its bases.

    Parameters
    ----------
    start, end
        ``(P,)`` peaks on the contig, 0-based half-open, in any order; they may overlap.
    n_bins
        Number of bins; peaks beyond the last bin are ignored.
    bin_size
        Bases of a bin.
    min_overlap
        Fraction of a bin that peaks must cover, above 0 and at most 1.
    stride
        Bases from one bin's start to the next; None means ``bin_size``.
    offset
        0-based start of bin 0.

    Returns
    -------
    ndarray
        ``(n,)`` uint32, increasing.

    Raises
    ------
    InputError
        When a peak ends before it starts, the two arrays differ in length, a size is below 1,
        or ``min_overlap`` is outside its limits.
    """
    need = least_cover(bin_size, min_overlap)
    step = bin_size if stride is None else stride
    if step < 1:
        raise InputError(f"a stride of {step} bases is below 1")
    first = np.atleast_1d(np.asarray(start, dtype=np.int64))
    last = np.atleast_1d(np.asarray(end, dtype=np.int64))
    if first.shape != last.shape or first.ndim != 1:
        raise InputError(f"starts have shape {first.shape}, ends {last.shape}")
    if np.any(last < first):
        bad = int(np.flatnonzero(last < first)[0])
        raise InputError(f"peak {first[bad]}-{last[bad]} ends before it starts")
    if np.any(first[1:] < first[:-1]):
        order = np.argsort(first, kind="stable")
        first, last = first[order], last[order]
    room = int(np.sum((last - first + bin_size) // step + 1))
    found = np.empty(max(0, min(n_bins, room)), dtype=np.uint32)
    count = _sweep(first, last, n_bins, bin_size, step, offset, need, found)
    return found[:count].copy()


@kernel
def _sweep(start, end, n_bins, bin_size, stride, offset, need, found):
    """Write the indices of positive bins to ``found``; peaks are sorted by start."""
    low = np.empty(start.size, dtype=np.int64)
    high = np.empty(start.size, dtype=np.int64)
    size = 0
    for i in range(start.size):
        if size and start[i] <= high[size - 1]:
            high[size - 1] = max(high[size - 1], end[i])
        else:
            low[size] = start[i]
            high[size] = end[i]
            size += 1
    count = 0
    at = 0
    number = 0
    while number < n_bins:
        left = offset + number * stride
        right = left + bin_size
        while at < size and high[at] <= left:
            at += 1
        if at == size:
            break
        if low[at] >= right:
            number = max(number + 1, (low[at] - bin_size - offset) // stride + 1)
            continue
        cover = 0
        next_peak = at
        while next_peak < size and low[next_peak] < right:
            cover += min(high[next_peak], right) - max(low[next_peak], left)
            next_peak += 1
        if cover >= need:
            found[count] = number
            count += 1
        number += 1
    return count


def _plain_positive_indices(
    start: IntRow, end: IntRow, n_bins: int, bin_size: int, need: int, stride: int, offset: int
) -> IntRow:
    """Plain twin of :func:`_sweep` that marks every covered base."""
    covered = np.zeros(max(0, offset) + (n_bins + 1) * stride + bin_size, dtype=np.bool_)
    for low, high in zip(start, end, strict=True):
        covered[max(0, low) : max(0, high)] = True
    lefts = offset + stride * np.arange(n_bins)
    return np.flatnonzero([covered[left : left + bin_size].sum() >= need for left in lefts])
