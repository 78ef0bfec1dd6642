"""Convolution, ReLU and max-pool over symbol codes, fused, for the CPU.

A position costs the row additions of `danq.core.pair_sums`, and only the pooled maximum is
written. Backward touches only the position that won each pool window.
"""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.core._best_position import best_place
from danq.core.pair_sums import BLOCK, CODES, SYMBOLS

QUADS = CODES**4
FILTER_BLOCK = 2


@parallel_kernel
def forward(pairs, table, bias, n_pairs, pool, rectify, out, winner):
    """Fill ``out`` (B, T, F) with pooled activations and ``winner`` with their offsets.

    ``table`` and ``bias`` are those of a `danq.core.pair_sums.PairTable` of filters ``n_pairs``
    wide. ``winner`` (B, T, F) uint8 holds the offset inside the pool window of the first maximum,
    or 255 where ReLU stopped the signal; pass an array of size 0 to leave it out.
    """
    batch, steps, filters = out.shape
    for b in numba.prange(batch):
        best = np.empty(BLOCK, table.dtype)
        where = np.empty(BLOCK, np.int32)
        for block in range(len(table)):
            first = block * BLOCK
            for t in range(steps):
                best[:] = 0 if rectify else -np.inf
                best_place(pairs, b, t * pool, table, bias, block, n_pairs, pool, best, where)
                for f in range(min(BLOCK, filters - first)):
                    out[b, t, first + f] = best[f]
                if winner.size > 0:
                    for f in range(min(BLOCK, filters - first)):
                        winner[b, t, first + f] = np.uint8(where[f])


def quad_codes(codes: np.ndarray) -> np.ndarray:
    """(B, L) codes -> (B, L) uint16 index of the four that start at each position; 4s follow the
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
    """Add to ``weight_grad`` (F, 4, W) and ``bias_grad`` (F,) what ``grad`` (B, T, F) sends back.

    Each winner adds its gradient to one entry for every four taps, and the entries are shared out
    among the taps at the end. Each thread owns a block of filters, small enough that its entries
    stay in the first-level cache, so the sums do not depend on the number of threads.
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
                    own = sums[f - first]
                    for j in range(n_quads):
                        own[j, np.uint64(quads[b, at + np.uint64(4 * j)])] += g
        for f in range(first, last):
            _share_out(sums[f - first], unknown, weight_grad[f])


@inlined_kernel
def _share_out(sums, unknown, weight_grad):
    """Add (J, 625) sums of four codes to the (4, W) gradient of a filter."""
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
