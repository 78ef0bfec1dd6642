"""Where filters fire in windows, and what they see there, by table look-up on the CPU."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import parallel_kernel
from danq.core._best_position import best_place
from danq.core.pair_sums import BLOCK


@parallel_kernel
def best_places(pairs, table, bias, width, value, place):
    """Fill ``value`` (B, F) with each filter's largest score and ``place`` with where it begins.

    Of equal scores the leftmost counts. ``pairs`` (B, L), ``table`` and ``bias`` are those of
    `danq.core.pair_sums`.
    """
    batch, filters = value.shape
    places = pairs.shape[1] - width + 1
    n_pairs = (width + 1) // 2
    for b in numba.prange(batch):
        best = np.empty(BLOCK, table.dtype)
        where = np.empty(BLOCK, np.int32)
        for block in range(len(table)):
            best[:] = -np.inf
            best_place(pairs, b, 0, table, bias, block, n_pairs, places, best, where)
            for f in range(block * BLOCK, min(filters, (block + 1) * BLOCK)):
                value[b, f] = best[f - block * BLOCK]
                place[b, f] = where[f - block * BLOCK]


@parallel_kernel
def add_best(codes, value, place, counts, sites):
    """Add the best site of each window to ``counts`` (F, W, 5) where its score is above 0."""
    batch, filters = value.shape
    width = counts.shape[1]
    for f in numba.prange(filters):
        for b in range(batch):
            if value[b, f] > 0:
                sites[f] += 1
                for w in range(width):
                    counts[f, w, codes[b, place[b, f] + w]] += 1


@parallel_kernel
def add_above(codes, pairs, table, bias, floor, counts, sites):
    """Add every site whose score is above ``floor`` (F,) to ``counts`` (S, F, W, 5).

    Share s of ``counts`` and ``sites`` (S, F) gets the windows s, s + S, ...: so that threads
    never write to the same number.
    """
    shares, filters, width, _ = counts.shape
    places = pairs.shape[1] - width + 1
    n_pairs = (width + 1) // 2
    for s in numba.prange(shares):
        total = np.empty(BLOCK, table.dtype)
        where = np.empty(BLOCK, np.int32)
        for b in range(s, pairs.shape[0], shares):
            for block in range(len(table)):
                first = block * BLOCK
                for p in range(places):
                    total[:] = -np.inf
                    best_place(pairs, b, p, table, bias, block, n_pairs, 1, total, where)
                    for f in range(first, min(filters, first + BLOCK)):
                        if total[f - first] > floor[f]:
                            sites[s, f] += 1
                            for w in range(width):
                                counts[s, f, w, codes[b, p + w]] += 1
