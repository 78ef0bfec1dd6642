"""Fused convolution, ReLU and max-pool over symbol codes, for the CPU.

Forward adds rows of `danq.core.filter_lookup.PairTable` and writes only the pooled maximum.
Backward visits only the position of the maximum of each pool window.
"""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.core._best_position import best_position
from danq.core.filter_lookup import BLOCK, CODES, SYMBOLS

QUADS = CODES**4
FILTER_BLOCK = 2


@parallel_kernel
def forward(pairs, table, pool, rectify, out, winner):
    """Fill ``out`` (B, T, F) with pooled activations and ``winner`` with their offsets.

    ``table`` is the `danq.core.filter_lookup.PairTable` of the filters. ``winner`` (B, T, F) uint8
    receives the offset of the first maximum in the pool window, or 255 where ReLU gives 0; an array
    of size 0 leaves it out.
    """
    batch, steps, filters = out.shape
    for b in numba.prange(batch):
        best = np.empty(BLOCK, out.dtype)
        where = np.empty(BLOCK, np.int32)
        for block in range(len(table.rows)):
            first = block * BLOCK
            for t in range(steps):
                best[:] = 0 if rectify else -np.inf
                best_position(pairs, b, t * pool, table, block, pool, (best, where))
                for f in range(min(BLOCK, filters - first)):
                    out[b, t, first + f] = best[f]
                if winner.size > 0:
                    for f in range(min(BLOCK, filters - first)):
                        winner[b, t, first + f] = np.uint8(where[f])


def quad_codes(codes: np.ndarray) -> np.ndarray:
    """(B, L) codes to the (B, L) uint16 index of the four codes from each position; 4s follow the
    end."""
    length = codes.shape[1]
    padded = np.full((len(codes), length + 3), SYMBOLS, np.uint16)
    padded[:, :length] = codes
    quads = padded[:, :length].copy()
    for back in range(1, 4):
        quads *= np.uint16(CODES)
        quads += padded[:, back : back + length]
    return quads


@parallel_kernel
def backward(quads, winner, grad, unknown, pool, weight_grad, bias_grad):
    """Add the gradients for ``grad`` (B, T, F) to ``weight_grad`` (F, 4, W) and ``bias_grad`` (F,).

    Each winner adds its gradient to one sum per four taps; at the end the sums are added to the
    taps. A thread works on one block of filters, so the result does not depend on the number of
    threads. A block is small enough for the first-level cache.
    """
    batch, steps, filters = grad.shape
    width = weight_grad.shape[2]
    n_quads = (width + 3) // 4
    for block in numba.prange((filters + FILTER_BLOCK - 1) // FILTER_BLOCK):
        first = block * FILTER_BLOCK
        last = min(filters, first + FILTER_BLOCK)
        sums = np.zeros((FILTER_BLOCK, n_quads, QUADS), grad.dtype)
        for b in range(batch):
            for t in range(steps):
                for f in range(first, last):
                    offset = winner[b, t, f]
                    if offset == 255:
                        continue
                    g = grad[b, t, f]
                    bias_grad[f] += g
                    at = np.uint64(t * pool + offset)
                    filter_sums = sums[f - first]
                    for j in range(n_quads):
                        filter_sums[j, np.uint64(quads[b, at + np.uint64(4 * j)])] += g
        for f in range(first, last):
            _add_to_taps(sums[f - first], unknown, weight_grad[f])


@inlined_kernel
def _add_to_taps(sums, unknown, weight_grad):
    """Add the sums (J, 625) per four codes to the gradient (4, W) of a filter."""
    width = weight_grad.shape[1]
    for j in range(len(sums)):
        for quad in range(QUADS):
            g = sums[j, quad]
            rest = quad
            for tap in range(4 * j + 3, 4 * j - 1, -1):
                code = rest % CODES
                rest //= CODES
                if tap >= width:
                    continue
                if code < SYMBOLS:
                    weight_grad[code, tap] += g
                else:
                    for symbol in range(SYMBOLS):
                        weight_grad[symbol, tap] += unknown * g
