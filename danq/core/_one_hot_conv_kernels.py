"""Fused convolution, ReLU and max-pool over symbol codes, for the CPU.

Forward adds rows of `danq.core.filter_lookup.PairTable` and writes only the pooled maximum.
Backward visits only the position of the maximum of each pool window.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.core._position_scores import (
    best_position,
    copy_row,
    every_position,
    larger_of_rows,
)
from danq.core.filter_lookup import BLOCK, CODES, SYMBOLS

QUADS = CODES**4
FILTER_BLOCK = 2

SPAN = 512
"""Positions that a thread computes at a time. The scores of a block of filters there, and the
activations of all windows, stay in the second-level cache."""


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


class Spans(NamedTuple):
    """Parts of a sequence in which windows overlap.

    Attributes
    ----------
    first, last
        ``(N,)`` positions at which pools begin, half-open.
    end
        ``(N,)`` end of the positions that pools contain.
    low, high
        ``(N,)`` the windows with pools there, half-open, as indices of the sorted windows.
    """

    first: np.ndarray
    last: np.ndarray
    end: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spans(starts: np.ndarray, reach: int) -> Spans:
    """Divide the positions of windows into parts of at most `SPAN`, which threads share.

    Parameters
    ----------
    starts
        First position of each window, ascending; at least one.
    reach
        Positions that the pools of a window contain.
    """
    breaks = np.flatnonzero(np.diff(starts) > reach)
    runs = zip(
        starts[np.concatenate([[0], breaks + 1])],
        starts[np.append(breaks, len(starts) - 1)] + reach,
        strict=True,
    )
    parts = [(first, end) for begin, end in runs for first in range(begin, end, SPAN)]
    first, end = np.array(parts, np.int64).T
    last = np.minimum(first + SPAN, end)
    low = np.searchsorted(starts, first - reach, side="right")
    high = np.searchsorted(starts, last, side="left")
    return Spans(first, last, end, low, high)


@parallel_kernel
def forward_overlapping(pairs, starts, row, spans, table, pool, least, out):
    """Fill ``out`` (B, T, N BLOCK) with pooled activations of windows of one sequence.

    The score at a position is computed once for all windows. Every value is the same as that of
    `forward`: the largest of the same sums, and of ``least``.

    ``pairs`` is (1, S), ``starts`` (B,) the first position of each window, ascending, ``row`` (B,)
    its row in ``out``, and ``spans`` the `Spans` of the windows.
    """
    steps = out.shape[1]
    for number in numba.prange(len(spans.first)):
        first, last = spans.first[number], spans.last[number]
        count = min(last + pool - 1, spans.end[number]) - first
        scores = np.empty((SPAN + pool - 1, BLOCK), out.dtype)
        for block in range(len(table.rows)):
            every_position(pairs, 0, first, table, block, count, scores)
            width = 1
            while width < pool:
                shift = min(width, pool - width)
                for position in range(count - shift):
                    larger_of_rows(scores, position, position + shift)
                width += shift
            for window in range(spans.low[number], spans.high[number]):
                start = starts[window]
                step = max(0, -((start - first) // pool))
                while step < steps and start + step * pool < last:
                    position = start + step * pool - first
                    copy_row(scores, position, out, row[window], step, block * BLOCK, least)
                    step += 1


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
