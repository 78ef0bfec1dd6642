"""Convolution, ReLU and max-pool over symbol codes, fused, for the CPU.

A filter bank of width W over one-hot symbols is a sum of W table rows. Two neighbouring taps
share one row of a table over all 25 pairs of codes (4 symbols and "unknown"), so a position
costs W / 2 row additions, and only the pooled maximum is written. Backward touches only the
position that won each pool window.
"""

from __future__ import annotations

import numba
import numpy as np

from danq.jit import inlined_kernel, parallel_kernel

SYMBOLS = 4
CODES = 5
PAIRS = CODES**2
QUADS = CODES**4
FILTER_BLOCK = 2


def pair_table(weight: np.ndarray, unknown: float) -> np.ndarray:
    """Sums of every two neighbouring taps for every pair of codes.

    Parameters
    ----------
    weight
        (F, 4, W) filters.
    unknown
        The value that each of the 4 one-hot channels has at an unknown symbol.

    Returns
    -------
    (J * 25, F) rows, J = ceil(W / 2); row ``25 j + 5 a + b`` is what code ``a`` at tap ``2 j`` and
    code ``b`` at tap ``2 j + 1`` add.
    """
    filters, _, width = weight.shape
    pairs = (width + 1) // 2
    taps = np.zeros((2 * pairs, CODES, filters), weight.dtype)
    taps[:width, :SYMBOLS] = weight.transpose(2, 1, 0)
    taps[:width, SYMBOLS] = unknown * weight.sum(axis=1).T
    table = taps[0::2, :, None, :] + taps[1::2, None, :, :]
    return np.ascontiguousarray(table.reshape(pairs * PAIRS, filters))


def pair_codes(codes: np.ndarray) -> np.ndarray:
    """(B, L) codes -> (B, L) index of the pair that starts at each position; 4 follows the end."""
    pairs = codes * np.uint8(CODES)
    pairs[:, :-1] += codes[:, 1:]
    pairs[:, -1] += np.uint8(SYMBOLS)
    return pairs


@parallel_kernel
def forward(pairs, table, bias, width, pool, rectify, out, winner):
    """Fill ``out`` (B, T, F) with pooled activations and ``winner`` with their offsets.

    ``winner`` (B, T, F) uint8 holds the offset inside the pool window of the first maximum, or
    255 where ReLU stopped the signal; pass an array of size 0 to leave it out.
    """
    batch, steps, filters = out.shape
    n_pairs = (width + 1) // 2
    keep = winner.size > 0
    for b in numba.prange(batch):
        total = np.empty(filters, table.dtype)
        best = np.empty(filters, table.dtype)
        where = np.zeros(filters, np.uint8)
        for t in range(steps):
            for p in range(pool):
                _add_rows(pairs[b, t * pool + p :], table, bias, n_pairs, total)
                if p == 0:
                    for f in range(filters):
                        best[f] = total[f]
                        where[f] = 0
                elif keep:
                    for f in range(filters):
                        better = total[f] > best[f]
                        best[f] = total[f] if better else best[f]
                        where[f] = np.uint8(p) if better else where[f]
                else:
                    for f in range(filters):
                        best[f] = max(best[f], total[f])
            for f in range(filters):
                dead = rectify and not best[f] > 0
                out[b, t, f] = 0 if dead else best[f]
                if keep:
                    winner[b, t, f] = 255 if dead else where[f]


@inlined_kernel
def _add_rows(pairs, table, bias, n_pairs, total):
    """Scores of all filters at one position: the bias and a row for each pair of taps.

    Rows are added seven, six or four at a time, since each pass reads and writes all totals: the
    13 rows of a 26-bp filter take two passes and a quarter less time than passes of four.
    """
    filters = total.size
    left = n_pairs
    if left == 7 or left >= 13:
        a, b, c, d = _row(pairs, 0), _row(pairs, 1), _row(pairs, 2), _row(pairs, 3)
        e, g, h = _row(pairs, 4), _row(pairs, 5), _row(pairs, 6)
        for f in range(filters):
            total[f] = (
                bias[f]
                + ((table[a, f] + table[b, f]) + (table[c, f] + table[d, f]))
                + ((table[e, f] + table[g, f]) + table[h, f])
            )
        left -= 7
    else:
        for f in range(filters):
            total[f] = bias[f]
    j = n_pairs - left
    while left:
        a = _row(pairs, j)
        if left >= 4:
            b, c, d = _row(pairs, j + 1), _row(pairs, j + 2), _row(pairs, j + 3)
            if left == 6 or left == 12:
                e, g = _row(pairs, j + 4), _row(pairs, j + 5)
                for f in range(filters):
                    total[f] += ((table[a, f] + table[b, f]) + (table[c, f] + table[d, f])) + (
                        table[e, f] + table[g, f]
                    )
                j, left = j + 6, left - 6
            else:
                for f in range(filters):
                    total[f] += (table[a, f] + table[b, f]) + (table[c, f] + table[d, f])
                j, left = j + 4, left - 4
        else:
            for f in range(filters):
                total[f] += table[a, f]
            j, left = j + 1, left - 1


@inlined_kernel
def _row(pairs, j):
    """Row of the table for the j-th pair of taps at a position."""
    # Unsigned: a signed index would be tested for being negative at every use.
    return np.uint64(j * PAIRS + pairs[2 * j])


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
