"""Held-out windows that also occur base by base in the training windows.

A quick search for every build of a dataset; `danq.datasets.shared_sequence` finds copies that
differ. It looks up few k-mers: those of the held-out windows that start at multiples of ``a``
bases, among those of the training windows at multiples of ``b``. If ``a`` and ``b`` have no common
divisor, a copy of ``a b + K - 1`` bases or more has such a pair at any offset (the Chinese
remainder theorem), on either strand. The bases around each pair are then compared.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numba
import numpy as np

from danq._jit import inlined_kernel, kernel
from danq.datasets.kmer_index import REVERSED, Intervals, K
from danq.datasets.shared_sequence import KmerWindows, WindowTable, pieces
from danq.genome.packed_genome import PackedGenome
from danq.typing import BoolRow

MOST_COPIES = 8
"""Largest number of entries of one k-mer in the table; further ones are left out."""

MOST_PAIRS = 1 << 17
"""Largest number of pairs that a task compares."""

_U = np.uint64
_KMER = _U((1 << 2 * K) - 1)
_FACTOR = _U(0x9E3779B97F4A7C15)
_EMPTY = -1


def find_identical(table: WindowTable) -> BoolRow:
    """Find held-out windows whose bases occur in the same order in training windows.

    Windows with an unknown base, and windows of k-mers that repeat very often, may be missed.

    Parameters
    ----------
    table
        The windows.

    Returns
    -------
    BoolRow
        ``(W,)``; False for training windows.
    """
    identical = np.zeros(table.split.size, dtype=np.bool_)
    held = KmerWindows.of(table, np.flatnonzero(table.split > 0))
    training = KmerWindows.of(table, np.flatnonzero(table.split == 0))
    indexed, searched = _joined(held.intervals()), _joined(training.intervals())
    if table.window < K or not indexed[0].size or not searched[0].size:
        return identical
    low, high = _runs(table.genome, indexed, searched, table.window)
    from_row = np.searchsorted(held.low, low, side="left")
    to_row = np.searchsorted(held.high, high, side="right")
    change = np.zeros(held.low.size + 1, dtype=np.int64)
    inside = to_row > from_row
    np.add.at(change, from_row[inside], 1)
    np.add.at(change, to_row[inside], -1)
    identical[held.rows] = (np.cumsum(change[:-1]) > 0) & (held.high > held.low)
    return identical


def _steps(kmers: int) -> tuple[int, int]:
    """Distances of the k-mers of held-out and of training windows, for windows of some k-mers.

    A look-up is several times faster than an insertion, so more training k-mers are used.
    """
    searched = max(1, math.isqrt(kmers // 4))
    indexed = kmers // searched
    while math.gcd(indexed, searched) > 1:
        indexed -= 1
    return indexed, searched


def _runs(genome: PackedGenome, indexed: Intervals, searched: Intervals, window: int) -> Intervals:
    """Intervals of k-mer starts of held-out windows that equal a part of the training windows."""
    step, other_step = _steps(window - K + 1)
    size = int(((indexed[1] - indexed[0]) // step + 1).sum())
    bits = int(2 * size + 1).bit_length()
    table = np.full((1 << bits, 2), _EMPTY, np.int64)
    present = np.zeros(2 << bits, np.uint8)
    _index(genome.bases, *indexed, step, table, present)
    lows, highs = pieces(searched)
    with ThreadPoolExecutor(numba.get_num_threads()) as threads:
        found = threads.map(
            _compare,
            repeat(genome.bases),
            lows,
            highs,
            repeat(other_step),
            repeat(window),
            repeat(indexed),
            repeat(searched),
            repeat((table, present)),
        )
        runs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return runs[:, 0], runs[:, 1]


def _joined(intervals: Intervals) -> Intervals:
    """Intervals of k-mer starts, joined where the bases of their k-mers touch."""
    low, high = intervals
    if not low.size:
        return intervals
    new = np.flatnonzero(low[1:] > high[:-1] + K - 1) + 1
    return low[np.r_[0, new]], high[np.r_[new - 1, high.size - 1]]


@inlined_kernel
def _kmer(bases, at):
    """The canonical k-mer that starts at a global position, and whether it is the reverse one."""
    first, phase = at >> 2, at & 3
    one = other = _U(0)
    for offset in range(6):
        byte = bases[first + offset]
        one |= _U(byte) << _U(8 * offset)
        other = (other << _U(8)) | _U(REVERSED[byte])
    one = (one >> _U(2 * phase)) & _KMER
    other = (other >> _U(6 - 2 * phase)) & _KMER
    return min(one, other), other < one


@inlined_kernel
def _hash(kmer):
    return np.int64((kmer * _FACTOR) >> _U(20))


@inlined_kernel
def _base(bases, at):
    return (bases[at >> 2] >> (2 * (at & 3))) & 3


@kernel
def _index(bases, low, high, step, table, present):
    """Put every ``step``-th k-mer of intervals into a table that allows several places of one.

    Parameters
    ----------
    table
        ``(slots, 2)`` k-mer and place; the place is -1 in an empty slot.
    present
        ``(2 slots,)`` bitmap of hashes: most k-mers that are not in the table have a bit of 0.
    """
    last = table.shape[0] - 1
    for owner in range(low.size):
        for at in range(-(-low[owner] // step) * step, high[owner], step):
            kmer, _ = _kmer(bases, at)
            hashed, copies = _hash(kmer), 0
            slot, number = hashed & last, np.int64(kmer)
            while table[slot, 1] != _EMPTY and copies < MOST_COPIES:
                copies += table[slot, 0] == number
                slot = (slot + 1) & last
            if copies < MOST_COPIES:
                table[slot, 0], table[slot, 1] = number, at
                bit = hashed & (8 * present.size - 1)
                present[bit >> 3] |= 1 << (bit & 7)


@kernel
def _compare(bases, low, high, step, window, held, training, index):
    """Runs of equal bases around the k-mers of intervals that are in the table, ``(n, 2)``."""
    table, present = index
    runs = np.empty((MOST_PAIRS, 2), np.int64)
    last, count = table.shape[0] - 1, 0
    for number in range(low.size):
        for at in range(-(-low[number] // step) * step, high[number], step):
            kmer, reverse = _kmer(bases, at)
            hashed = _hash(kmer)
            bit = hashed & (8 * present.size - 1)
            if not (present[bit >> 3] >> (bit & 7)) & 1:
                continue
            slot = hashed & last
            while table[slot, 1] != _EMPTY and count < MOST_PAIRS:
                if table[slot, 0] == np.int64(kmer):
                    place = table[slot, 1]
                    _, other = _kmer(bases, place)
                    # Number of k-mers before and after this one in the interval, at either place.
                    owner = np.searchsorted(held[0], place, side="right") - 1
                    before = min(place - held[0][owner], window)
                    after = min(held[1][owner] - 1 - place, window)
                    owner = np.searchsorted(training[0], at, side="right") - 1
                    at_before, at_after = at - training[0][owner], training[1][owner] - 1 - at
                    left = right = 0
                    if other == reverse:
                        before, after = min(before, at_before), min(after, at_after)
                        while left < before and (
                            _base(bases, place - left - 1) == _base(bases, at - left - 1)
                        ):
                            left += 1
                        while right < after and (
                            _base(bases, place + K + right) == _base(bases, at + K + right)
                        ):
                            right += 1
                    else:
                        before, after = min(before, at_after), min(after, at_before)
                        while left < before and (
                            _base(bases, place - left - 1) == 3 - _base(bases, at + K + left)
                        ):
                            left += 1
                        while right < after and (
                            _base(bases, place + K + right) == 3 - _base(bases, at - right - 1)
                        ):
                            right += 1
                    runs[count, 0], runs[count, 1] = place - left, place + right + 1
                    count += 1
                slot = (slot + 1) & last
    return runs[:count]
