"""Count gapped k-mers in windows, per track."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from danq._jit import kernel, parallel_kernel

HALF = 4
"""Bases on either side of the gap."""


@kernel
def _halves(window, forward, reverse):
    """Indices of the four bases at each position and of their reverse complement; -1 with an N."""
    for i in range(len(window) - HALF + 1):
        a = 0
        r = 0
        known = True
        for h in range(HALF):
            c = np.int64(window[i + h])
            known = known and c < 4
            a = a * 4 + c
            r += (3 - c) * 4**h
        forward[i] = a if known else -1
        reverse[i] = r


@parallel_kernel
def _count(codes, pointers, tracks, gaps, counts, totals):
    windows, length = codes.shape
    side = 4**HALF
    for g in numba.prange(gaps.size):
        gap = gaps[g]
        span = 2 * HALF + gap
        seen = np.full(side * side, -1, np.int64)
        forward = np.empty(length, np.int64)
        reverse = np.empty(length, np.int64)
        for n in range(windows):
            _halves(codes[n], forward, reverse)
            for i in range(length - span + 1):
                left = forward[i]
                right = forward[i + HALF + gap]
                if left < 0 or right < 0:
                    continue
                same = left * side + right
                other = reverse[i + HALF + gap] * side + reverse[i]
                kmer = min(same, other)
                if seen[kmer] == n:
                    continue
                seen[kmer] = n
                totals[g, kmer] += 1
                for q in range(pointers[n], pointers[n + 1]):
                    counts[g, tracks[q], kmer] += 1


@parallel_kernel
def _sum(codes, values, gaps, sums, totals):
    windows, length = codes.shape
    side = 4**HALF
    for g in numba.prange(gaps.size):
        gap = gaps[g]
        seen = np.full(side * side, -1, np.int64)
        forward = np.empty(length, np.int64)
        reverse = np.empty(length, np.int64)
        for n in range(windows):
            _halves(codes[n], forward, reverse)
            for i in range(length - 2 * HALF - gap + 1):
                left = forward[i]
                right = forward[i + HALF + gap]
                if left < 0 or right < 0:
                    continue
                other = reverse[i + HALF + gap] * side + reverse[i]
                kmer = min(left * side + right, other)
                if seen[kmer] == n:
                    continue
                seen[kmer] = n
                totals[g, kmer] += 1
                for k in range(values.shape[1]):
                    sums[g, kmer, k] += values[n, k]


def sum_gapped_kmers(
    codes: UInt8[np.ndarray, "N L"], values: Float32[np.ndarray, "N K"], gaps: Sequence[int]
) -> tuple[Float64[np.ndarray, "G 65536 K"], Int32[np.ndarray, "G 65536"]]:
    """Sum the values of the windows that contain each gapped 8-mer, on either strand.

    Parameters
    ----------
    codes, gaps
        As for `count_gapped_kmers`.
    values
        Values of each window.

    Returns
    -------
    sums
        Sum of the values, per gap, 8-mer and column of ``values``.
    totals
        As of `count_gapped_kmers`.
    """
    kmers = 4 ** (2 * HALF)
    sums = np.zeros((len(gaps), kmers, values.shape[1]))
    totals = np.zeros((len(gaps), kmers), np.int32)
    _sum(
        np.ascontiguousarray(codes),
        np.ascontiguousarray(values, np.float32),
        np.asarray(gaps, np.int64),
        sums,
        totals,
    )
    return sums, totals


def count_gapped_kmers(
    codes: UInt8[np.ndarray, "N L"],
    labels: UInt8[np.ndarray, "N K"],
    gaps: Sequence[int],
) -> tuple[Int32[np.ndarray, "G K 65536"], Int32[np.ndarray, "G 65536"]]:
    """Count the windows that contain each gapped 8-mer, on either strand.

    A gapped 8-mer is four bases, ``gap`` arbitrary bases, and four bases. An 8-mer and its
    reverse complement are counted together, under the smaller index. 8-mers with N are skipped.

    Parameters
    ----------
    codes
        Windows.
    labels
        1 where a window is positive for a track.
    gaps
        Widths G of the gap.

    Returns
    -------
    counts
        Positive windows with the 8-mer, per gap, track and 8-mer. The index of an 8-mer is
        ``256 a + b``, where ``a`` and ``b`` are its halves as numbers in base 4.
    totals
        All windows with the 8-mer, per gap and 8-mer.
    """
    rows, tracks = np.nonzero(labels)
    pointers = np.searchsorted(rows, np.arange(len(codes) + 1))
    kmers = 4 ** (2 * HALF)
    counts = np.zeros((len(gaps), labels.shape[1], kmers), np.int32)
    totals = np.zeros((len(gaps), kmers), np.int32)
    _count(
        np.ascontiguousarray(codes),
        pointers.astype(np.int64),
        tracks.astype(np.int32),
        np.asarray(gaps, np.int64),
        counts,
        totals,
    )
    return counts, totals


def _plain_count_gapped_kmers(codes, labels, gaps):
    side = 4**HALF
    counts = np.zeros((len(gaps), labels.shape[1], side * side), np.int32)
    totals = np.zeros((len(gaps), side * side), np.int32)
    weights = 4 ** np.arange(HALF - 1, -1, -1)
    for g, gap in enumerate(gaps):
        for row, label in zip(codes, labels, strict=True):
            kmers = set()
            for i in range(len(row) - 2 * HALF - gap + 1):
                left, right = row[i : i + HALF], row[i + HALF + gap : i + 2 * HALF + gap]
                if (left > 3).any() or (right > 3).any():
                    continue
                same = left @ weights * side + right @ weights
                other = (3 - right[::-1]) @ weights * side + (3 - left[::-1]) @ weights
                kmers.add(int(min(same, other)))
            for kmer in kmers:
                totals[g, kmer] += 1
                counts[g, :, kmer] += label
    return counts, totals


def kmer_bases(kmer: int, gap: int) -> np.ndarray:
    """Codes of a gapped 8-mer by its index; 4 in the gap."""
    digits = [kmer // 4**p % 4 for p in range(2 * HALF - 1, -1, -1)]
    return np.array(digits[:HALF] + [4] * gap + digits[HALF:], np.uint8)
