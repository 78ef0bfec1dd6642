"""Fused hard gates of an LSTM step."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_arithmetic_kernel
from danq.core._activations import tanh

_SLOPE = np.float32(0.2)
_HALF = np.float32(0.5)
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


@inlined_kernel
def _hard(x):
    return min(max(_SLOPE * x + _HALF, _ZERO), _ONE)


@parallel_arithmetic_kernel
def step(gates, bias, cell, hidden):
    """Advance a batch by one step.

    ``gates`` (B, 4H) holds the products, in the order i, f, g, o; ``bias`` (4H,). ``cell`` and
    ``hidden`` (B, H) change in place.
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        row = gates[b]
        for u in range(units):
            i = _hard(row[u] + bias[u])
            f = _hard(row[units + u] + bias[units + u])
            g = tanh(row[2 * units + u] + bias[2 * units + u])
            o = _hard(row[3 * units + u] + bias[3 * units + u])
            c = f * cell[b, u] + i * g
            cell[b, u] = c
            hidden[b, u] = o * tanh(c)
