"""Fused kernels of the scan over references and alternates."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from danq._jit import parallel_arithmetic_kernel, parallel_kernel
from danq.core._activations import tanh_fraction
from danq.core._bfloat16 import load, stored

TILE = 8
HALF = np.float32(0.5)


class StateArrays(NamedTuple):
    """States of R references, followed by those of the active alternates; bfloat16 as uint16.

    Attributes
    ----------
    cell, hidden
        ``(M, H)`` float32.
    operand
        ``(M, H)`` the hidden states in the precision of the products.
    change
        ``(M, S H)`` for each of the S steps of a segment, the hidden states of references and the
        differences of alternates from their references.
    """

    cell: np.ndarray
    hidden: np.ndarray
    operand: np.ndarray
    change: np.ndarray


@parallel_arithmetic_kernel
def lstm_step(recurrent, products, product_of, bias, reference_of, states, column, gap):
    """Advance references and alternates by one step.

    Row R + i of the N rows of ``recurrent`` is an alternate of reference ``reference_of[i]``.
    ``recurrent`` (N, 4H) holds the products of the states. Row ``product_of[n]`` of ``products``
    holds the products of the input of row n. Gates are in the order i, f, g, o; ``bias`` (4H,).
    ``states``, a `StateArrays`, changes in place: columns ``column`` to ``column + H`` of its
    ``change`` are filled. ``gap`` (N - R,), unless it is empty, gets the largest difference of an
    alternate's hidden and cell states from those of its reference.
    """
    cell, hidden, operand, change = states
    rows = product_of.size
    units = cell.shape[1]
    references = rows - reference_of.size
    tiles = (rows + TILE - 1) // TILE
    for tile in numba.prange(tiles):
        for n in range(tile * TILE, min(rows, (tile + 1) * TILE)):
            s = product_of[n]
            for u in range(units):
                x = load(recurrent[n, u]) + load(products[s, u]) + bias[u]
                i, i_ = tanh_fraction(HALF * x)
                v = u + units
                x = load(recurrent[n, v]) + load(products[s, v]) + bias[v]
                f, f_ = tanh_fraction(HALF * x)
                v = u + 2 * units
                g, g_ = tanh_fraction(load(recurrent[n, v]) + load(products[s, v]) + bias[v])
                v = u + 3 * units
                x = load(recurrent[n, v]) + load(products[s, v]) + bias[v]
                o, o_ = tanh_fraction(HALF * x)
                kept, new = (f + f_) * cell[n, u], (i + i_) * g
                c = HALF * (kept * (i_ * g_) + new * f_) / (f_ * (i_ * g_))
                t, t_ = tanh_fraction(c)
                h = HALF * ((o + o_) * t) / (o_ * t_)
                cell[n, u] = c
                hidden[n, u] = h
                operand[n, u] = stored(h, operand)
                if n < references:
                    change[n, column + u] = stored(h, change)
    tiles = (reference_of.size + TILE - 1) // TILE
    for tile in numba.prange(tiles):
        for i in range(tile * TILE, min(reference_of.size, (tile + 1) * TILE)):
            n = references + i
            r = reference_of[i]
            for u in range(units):
                change[n, column + u] = stored(hidden[n, u] - hidden[r, u], change)
            if gap.size == 0:
                continue
            largest = cell[n, 0] * 0
            for u in range(units):
                distance = max(abs(hidden[n, u] - hidden[r, u]), abs(cell[n, u] - cell[r, u]))
                largest = max(largest, distance)
            gap[i] = largest


@parallel_kernel
def add_rows(sums, row_of, values):
    """Add row n of ``values`` (N, D) to row ``row_of[n]`` of ``sums`` (M, D); no row twice."""
    rows, width = values.shape
    for tile in numba.prange((rows + TILE - 1) // TILE):
        for n in range(tile * TILE, min(rows, (tile + 1) * TILE)):
            to = row_of[n]
            for d in range(width):
                sums[to, d] += load(values[n, d])
