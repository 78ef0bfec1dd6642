"""Dropout whose mask is a function of a seed and a place, so that nothing of it is kept."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.core._bfloat16 import load, stored

_SHIFT = np.uint32(16)
_TURN = np.uint32(15)
_FIRST = np.uint32(0x21F0AAAD)
_SECOND = np.uint32(0x735A2D97)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inlined_kernel
def _mixed(x):
    """A permutation of the 32-bit numbers in which each bit of x flips each bit about half the
    time (two rounds of xor-shift and multiply, constants found by search: Wellons, 2018)."""
    # numba widens whole numbers as it goes; 32 bits keep the loop in the vector unit.
    x = np.uint32(np.uint32(x ^ (x >> _SHIFT)) * _FIRST)
    x = np.uint32(np.uint32(x ^ (x >> _TURN)) * _SECOND)
    return np.uint32(x ^ (x >> _TURN))


@parallel_kernel
def drop(x, out, seed, threshold, scale):
    """Fill ``out`` with ``x`` (N, M), times ``scale`` where a number drawn for the place is at
    least ``threshold`` (of 2**32), and 0 elsewhere.

    Each row draws from its own two keys, which come from ``seed`` and the row's number.
    """
    rows, columns = x.shape
    for n in numba.prange(rows):
        key = np.uint64(seed) + np.uint64(n + 1) * _GOLDEN
        low = _mixed(np.uint32(key) ^ _mixed(np.uint32(key >> np.uint64(32))))
        high = _mixed(np.uint32(low + _FIRST))
        for m in range(columns):
            drawn = _mixed(np.uint32(_mixed(np.uint32(np.uint32(m) + low)) ^ high))
            value = load(x[n, m]) * scale
            out[n, m] = stored(value if drawn >= threshold else np.float32(0), out)
