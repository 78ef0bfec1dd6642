"""Gates of an LSTM step, fused: one pass over the cells forward, one backward."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import parallel_arithmetic_kernel
from danq.core._activations import sigmoid, tanh
from danq.core._bfloat16 import load, stored

_ONE = np.float32(1.0)


@parallel_arithmetic_kernel
def step_forward(gates, recurrent, bias, cell, next_cell, operand, out, first):
    """One step of a batch.

    ``gates`` (B, 4H) holds the products of the input on entry and the gates i, f, g, o on return;
    ``recurrent`` (B, 4H) the products of the state; ``bias`` (4H,); ``cell`` and ``next_cell``
    (B, H) float32. The hidden state goes to ``operand`` (B, H) and to columns ``first`` to
    ``first + H`` of ``out`` (B, .).
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        for quarter in range(4):
            # Parts of their own, because loops over parts of one row do not vectorise.
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
    """One step back: from the gradient of the hidden state to that of the products.

    ``gates`` as `step_forward` left them. The hidden state's gradient is columns ``first`` to
    ``first + H`` of ``upstream`` (B, .) and ``recurrent`` (B, H) from the step after. ``cell_grad``
    (B, H) float32 holds what comes from the step after, and on return what goes to the step
    before; ``products`` (B, 4H) is filled.
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
