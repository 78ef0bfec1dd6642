"""Fused gates of an LSTM step in training, forward and backward."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import parallel_arithmetic_kernel
from danq.core._activations import sigmoid, tanh
from danq.core._bfloat16 import load, stored

_ONE = np.float32(1.0)


@parallel_arithmetic_kernel
def step_forward(gates, recurrent, bias, cell, next_cell, operand, out, first):
    """Advance a batch by one step.

    ``gates`` (B, 4H) holds the products of the input on entry and the gates i, f, g, o on return;
    ``recurrent`` (B, 4H) holds the products of the state; ``bias`` (4H,); ``cell`` and
    ``next_cell`` (B, H) are float32. The hidden state is written to ``operand`` (B, H) and to
    columns ``first`` to ``first + H`` of ``out`` (B, .).
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        for quarter in range(4):
            # One array per gate, because loops over segments of one row do not vectorise.
            begin, end = quarter * units, (quarter + 1) * units
            gate, other, shift = gates[b, begin:end], recurrent[b, begin:end], bias[begin:end]
            if quarter == 2:
                for u in range(units):
                    gate[u] = stored(tanh(load(gate[u]) + load(other[u]) + shift[u]), gate)
            else:
                for u in range(units):
                    gate[u] = stored(sigmoid(load(gate[u]) + load(other[u]) + shift[u]), gate)
        i, f = gates[b, :units], gates[b, units : 2 * units]
        g, o = gates[b, 2 * units : 3 * units], gates[b, 3 * units :]
        for u in range(units):
            c = load(f[u]) * cell[b, u] + load(i[u]) * load(g[u])
            h = load(o[u]) * tanh(c)
            next_cell[b, u] = c
            operand[b, u] = stored(h, operand)
            out[b, first + u] = stored(h, out)


@parallel_arithmetic_kernel
def step_backward(gates, cell, next_cell, upstream, first, recurrent, cell_grad, products):
    """Propagate gradients back by one step, from the hidden state to the products.

    ``gates`` are those of `step_forward` on return. The gradient of the hidden state is the sum of
    columns ``first`` to ``first + H`` of ``upstream`` (B, .) and of ``recurrent`` (B, H), which
    comes from the next step. ``cell_grad`` (B, H) float32 holds the gradient of the cell state from
    the next step on entry, and that for the previous step on return. ``products`` (B, 4H) is
    filled.
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        for u in range(units):
            v, w, x = u + units, u + 2 * units, u + 3 * units
            i, f, g, o = load(gates[b, u]), load(gates[b, v]), load(gates[b, w]), load(gates[b, x])
            t = tanh(next_cell[b, u])
            dh = load(upstream[b, first + u]) + load(recurrent[b, u])
            dc = cell_grad[b, u] + dh * o * (_ONE - t * t)
            products[b, u] = stored(dc * g * i * (_ONE - i), products)
            products[b, v] = stored(dc * cell[b, u] * f * (_ONE - f), products)
            products[b, w] = stored(dc * i * (_ONE - g * g), products)
            products[b, x] = stored(dh * t * o * (_ONE - o), products)
            cell_grad[b, u] = dc * f
