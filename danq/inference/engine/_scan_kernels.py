"""One LSTM step of rows that follow a reference, fused."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import parallel_arithmetic_kernel, parallel_kernel
from danq.core._activations import tanh_fraction
from danq.core._bfloat16 import load, stored

TILE = 8
HALF = np.float32(0.5)


@parallel_arithmetic_kernel
def lstm_step(
    recurrent, products, source, bias, owner, cell, hidden, operand, change, first, width, gap
):
    """Move every row one step on, and say how far each is from its reference.

    Of the N rows, the first R are references and row ``R + i`` follows reference ``owner[i]``.
    ``recurrent`` (N, 4H) and ``products`` (S, 4H) hold the products of state and input, row
    ``source[n]`` of the second belonging to row n; gates in the order i, f, g, o; ``bias`` (4H,).
    ``cell`` and ``hidden`` (N, H) float32 change in place, ``operand`` (N, H) gets the hidden
    state in the precision of the products. Columns ``first`` to ``first + H`` of ``change`` (N, .)
    get a reference's hidden state, or a row's difference from it; ``gap`` (N - R,) the largest
    difference of hidden or cell state, unless its size is 0. ``width`` is 4H.
    """
    rows = source.size
    units = width // 4
    references = rows - owner.size
    tiles = (rows + TILE - 1) // TILE
    for tile in numba.prange(tiles):
        for n in range(tile * TILE, min(rows, (tile + 1) * TILE)):
            s = source[n]
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
                    change[n, first + u] = stored(h, change)
    tiles = (owner.size + TILE - 1) // TILE
    for tile in numba.prange(tiles):
        for i in range(tile * TILE, min(owner.size, (tile + 1) * TILE)):
            n = references + i
            r = owner[i]
            for u in range(units):
                change[n, first + u] = stored(hidden[n, u] - hidden[r, u], change)
            if gap.size == 0:
                continue
            far = cell[n, 0] * 0
            for u in range(units):
                far = max(far, max(abs(hidden[n, u] - hidden[r, u]), abs(cell[n, u] - cell[r, u])))
            gap[i] = far


@parallel_kernel
def add_rows(sums, place, part):
    """Add row n of ``part`` (N, D) to row ``place[n]`` of ``sums`` (M, D), each named once."""
    rows, width = part.shape
    for tile in numba.prange((rows + TILE - 1) // TILE):
        for n in range(tile * TILE, min(rows, (tile + 1) * TILE)):
            to = place[n]
            for d in range(width):
                sums[to, d] += load(part[n, d])
