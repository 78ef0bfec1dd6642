"""Scores of a filter bank at a position of a sequence of codes, as sums of table rows.

A filter bank of width W over one-hot symbols is a sum of W table rows. Two neighbouring taps
share one row of a table over all 25 pairs of codes (4 symbols and "unknown"), so a position
costs W / 2 row additions.
"""

from __future__ import annotations

import numpy as np

from danq.jit import inlined_kernel

SYMBOLS = 4
CODES = 5
PAIRS = CODES**2


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


@inlined_kernel
def add_rows(pairs, table, bias, n_pairs, total):
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
