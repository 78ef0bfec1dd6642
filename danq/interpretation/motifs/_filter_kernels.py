"""CPU kernels that scan windows with filters and count the bases at their sites."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import parallel_kernel
from danq.core._position_scores import best_position
from danq.core.filter_lookup import BLOCK


@parallel_kernel
def best_sites(pairs, table, width, value, position):
    """Write each filter's maximum activation to ``value`` (B, F), its start to ``position``.

    Of equal activations the leftmost is used. ``pairs`` (B, L) and ``table`` are those of
    `danq.core.filter_lookup`.
    """
    batch, filters = value.shape
    positions = pairs.shape[1] - width + 1
    for b in numba.prange(batch):
        best = np.empty(BLOCK, value.dtype)
        start = np.empty(BLOCK, np.int32)
        for block in range(len(table.rows)):
            best[:] = -np.inf
            best_position(pairs, b, 0, table, block, positions, (best, start))
            for f in range(block * BLOCK, min(filters, (block + 1) * BLOCK)):
                value[b, f] = best[f - block * BLOCK]
                position[b, f] = start[f - block * BLOCK]


@parallel_kernel
def count_best_sites(codes, value, position, counts, sites):
    """Add the best site of each window to ``counts`` (F, W, 5) if its activation is above 0."""
    batch, filters = value.shape
    width = counts.shape[1]
    for f in numba.prange(filters):
        for b in range(batch):
            if value[b, f] > 0:
                sites[f] += 1
                for w in range(width):
                    counts[f, w, codes[b, position[b, f] + w]] += 1


@parallel_kernel
def count_sites_above(codes, pairs, table, threshold, counts, sites):
    """Add every site with activation above ``threshold`` (F,) to ``counts`` (S, F, W, 5).

    Entry s of ``counts`` and ``sites`` (S, F) receives the windows s, s + S, ..., so threads never
    write to the same entry.
    """
    shares, filters, width, _ = counts.shape
    positions = pairs.shape[1] - width + 1
    for s in numba.prange(shares):
        total = np.empty(BLOCK, threshold.dtype)
        start = np.empty(BLOCK, np.int32)
        for b in range(s, pairs.shape[0], shares):
            for block in range(len(table.rows)):
                first = block * BLOCK
                for p in range(positions):
                    total[:] = -np.inf
                    best_position(pairs, b, p, table, block, 1, (total, start))
                    for f in range(first, min(filters, first + BLOCK)):
                        if total[f - first] > threshold[f]:
                            sites[s, f] += 1
                            for w in range(width):
                                counts[s, f, w, codes[b, p + w]] += 1
