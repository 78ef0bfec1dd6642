"""Gates of an LSTM step, fused: one pass over the cells forward, one backward."""

from __future__ import annotations

import numba
import numpy as np

from danq.jit import arithmetic_kernel, parallel_kernel

# Rational approximation of tanh for float32, odd degree 13 over even degree 6 (from Eigen); beyond
# the limit tanh is 1 in float32. Unlike libm's it is plain arithmetic, so loops over it vectorise.
_LIMIT = np.float32(7.90531110763549805)
_P = tuple(
    np.float32(c)
    for c in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_Q = tuple(
    np.float32(c)
    for c in (
        4.89352518554385e-03,
        2.26843463243900e-03,
        1.18534705686654e-04,
        1.19825839466702e-06,
    )
)
_P1, _P3, _P5, _P7, _P9, _P11, _P13 = _P
_Q0, _Q2, _Q4, _Q6 = _Q
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)


@arithmetic_kernel
def _tanh(x):
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    p = ((((((_P13 * s + _P11) * s + _P9) * s + _P7) * s + _P5) * s + _P3) * s + _P1) * x
    q = ((_Q6 * s + _Q4) * s + _Q2) * s + _Q0
    return p / q


@arithmetic_kernel
def _sigmoid(x):
    return _HALF * _tanh(_HALF * x) + _HALF


@parallel_kernel
def step_forward(gates, bias, cell, next_cell, hidden):
    """One step of a batch.

    ``gates`` (B, 4H) holds the products on entry and the gates i, f, g, o on return; ``bias``
    (4H,); ``cell`` and ``next_cell`` (B, H); ``hidden`` (B, H) is filled.
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        row = gates[b]
        for u in range(3 * units):
            # The third quarter is g, done below: its sigmoid would be thrown away.
            at = u if u < 2 * units else u + units
            row[at] = _sigmoid(row[at] + bias[at])
        for u in range(2 * units, 3 * units):
            row[u] = _tanh(row[u] + bias[u])
        for u in range(units):
            c = row[units + u] * cell[b, u] + row[u] * row[2 * units + u]
            next_cell[b, u] = c
            hidden[b, u] = row[3 * units + u] * _tanh(c)


@parallel_kernel
def step_backward(gates, cell, next_cell, hidden_grad, cell_grad, gates_grad):
    """One step back: from the gradient of the hidden state to that of the products.

    ``gates`` as `step_forward` left them. ``cell_grad`` (B, H) holds what comes from the step
    after, and on return what goes to the step before; ``gates_grad`` (B, 4H) is filled.
    """
    rows, units = cell.shape
    for b in numba.prange(rows):
        row = gates[b]
        out = gates_grad[b]
        for u in range(units):
            i, f = row[u], row[units + u]
            g, o = row[2 * units + u], row[3 * units + u]
            t = _tanh(next_cell[b, u])
            dh = hidden_grad[b, u]
            dc = cell_grad[b, u] + dh * o * (_ONE - t * t)
            out[u] = dc * g * i * (_ONE - i)
            out[units + u] = dc * cell[b, u] * f * (_ONE - f)
            out[2 * units + u] = dc * i * (_ONE - g * g)
            out[3 * units + u] = dh * t * o * (_ONE - o)
            cell_grad[b, u] = dc * f
