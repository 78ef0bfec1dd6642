"""Dropout masks as a function of a random seed and of positions; no mask is stored."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.core._bfloat16 import load, stored

_SHIFT = np.uint32(16)
_SECOND_SHIFT = np.uint32(15)
_FIRST = np.uint32(0x21F0AAAD)
_SECOND = np.uint32(0x735A2D97)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inlined_kernel
def _mixed(x):
    """Permute the 32-bit integers; each bit of x flips each bit of the result half the time.

    Two times xor-shift and multiply; Wellons (2018) found the constants by search.
    """
    # numba widens integers; casts back to 32 bits keep the loop in vector registers.
    x = np.uint32(np.uint32(x ^ (x >> _SHIFT)) * _FIRST)
    x = np.uint32(np.uint32(x ^ (x >> _SECOND_SHIFT)) * _SECOND)
    return np.uint32(x ^ (x >> _SECOND_SHIFT))


@parallel_kernel
def drop(x, out, row_index, seed, threshold, scale):
    """Fill ``out`` with ``x`` (N, M) times ``scale``, or with 0.

    Each value has a random number below 2**32; the value is set to 0 where that number is below
    ``threshold``. The numbers of row n are derived from ``seed``, ``row_index[n]`` and the column.
    """
    rows, columns = x.shape
    for n in numba.prange(rows):
        key = np.uint64(seed) + np.uint64(row_index[n] + 1) * _GOLDEN
        low = _mixed(np.uint32(key) ^ _mixed(np.uint32(key >> np.uint64(32))))
        high = _mixed(np.uint32(low + _FIRST))
        for m in range(columns):
            drawn = _mixed(np.uint32(_mixed(np.uint32(np.uint32(m) + low)) ^ high))
            value = load(x[n, m]) * scale
            out[n, m] = stored(value if drawn >= threshold else np.float32(0), out)
