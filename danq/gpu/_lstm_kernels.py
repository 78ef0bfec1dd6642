"""Gates of one LSTM step, forward and backward, for all rows of a batch in one launch.

``LAYOUT`` is a `danq.gpu.fused_lstm.StepLayout`.
"""

# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportOperatorIssue=false
# Older releases of Triton declare that functions called inside a kernel never return.
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _tanh(x):
    return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0


@triton.jit
def _load_gates(first, inside, UNITS: tl.constexpr):
    """Values of the gates i, f, g, o, in float32; ``first`` points to those of i."""
    i = tl.load(first, inside, other=0.0).to(tl.float32)
    f = tl.load(first + UNITS, inside, other=0.0).to(tl.float32)
    g = tl.load(first + 2 * UNITS, inside, other=0.0).to(tl.float32)
    o = tl.load(first + 3 * UNITS, inside, other=0.0).to(tl.float32)
    return i, f, g, o


@triton.jit
def _store_gates(first, i, f, g, o, inside, UNITS: tl.constexpr):
    """Store what `_load_gates` loads, in the type of the memory."""
    kind: tl.constexpr = first.dtype.element_ty
    tl.store(first, i.to(kind), inside)
    tl.store(first + UNITS, f.to(kind), inside)
    tl.store(first + 2 * UNITS, g.to(kind), inside)
    tl.store(first + 3 * UNITS, o.to(kind), inside)


@triton.jit
def step_forward(gates, recurrent, bias, cell, hidden, mask, count, LAYOUT: tl.constexpr):
    """Advance a batch by one step.

    ``gates`` (B, 4H) holds the products of the input on entry and, if they are kept, the gates i,
    f, g, o on return; ``recurrent`` (B, 4H) holds the products of the state; ``bias`` (4H,) and
    ``cell`` (B, H), the states before the step, are float32. The hidden states after the step are
    written to ``hidden`` (B, H). A row whose ``mask`` is 0 gets states of 0. ``count`` is B * H.
    """
    UNITS: tl.constexpr = LAYOUT.units
    BLOCK: tl.constexpr = LAYOUT.block
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    row, unit = at // UNITS, at % UNITS
    first = row.to(tl.int64) * (4 * UNITS) + unit
    i, f, g, o = _load_gates(gates + first, inside, UNITS)
    ri, rf, rg, ro = _load_gates(recurrent + first, inside, UNITS)
    i = _sigmoid(i + ri + tl.load(bias + unit))
    f = _sigmoid(f + rf + tl.load(bias + UNITS + unit))
    g = _tanh(g + rg + tl.load(bias + 2 * UNITS + unit))
    o = _sigmoid(o + ro + tl.load(bias + 3 * UNITS + unit))
    c = f * tl.load(cell + at, inside, other=0.0) + i * g
    h = o * _tanh(c)
    if LAYOUT.masked:
        real = tl.load(mask + row, inside, other=0) != 0
        c = tl.where(real, c, 0.0)
        h = tl.where(real, h, 0.0)
    tl.store(cell + LAYOUT.towards * count + at, c, inside)
    tl.store(hidden + at, h.to(hidden.dtype.element_ty), inside)
    if LAYOUT.keep:
        _store_gates(gates + first, i, f, g, o, inside, UNITS)


@triton.jit
def step_backward(gates, cell, upstream, recurrent, cell_grad, mask, count, LAYOUT: tl.constexpr):
    """Propagate gradients back by one step, from the hidden states to the products.

    ``gates`` (B, 4H) holds the gates on entry and the gradients of the products on return;
    ``cell`` (B, H) are the states before the step. The gradient of the hidden states is the sum of
    ``upstream`` (B, H) and of ``recurrent`` (B, H), which comes from the next step. ``cell_grad``
    (B, H) float32 holds the gradient of the cell states after the step on entry, and of those
    before it on return. ``mask`` and ``count`` are as in `step_forward`.
    """
    UNITS: tl.constexpr = LAYOUT.units
    BLOCK: tl.constexpr = LAYOUT.block
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    row, unit = at // UNITS, at % UNITS
    first = row.to(tl.int64) * (4 * UNITS) + unit
    i, f, g, o = _load_gates(gates + first, inside, UNITS)
    before = tl.load(cell + at, inside, other=0.0)
    t = _tanh(tl.load(cell + LAYOUT.towards * count + at, inside, other=0.0))
    dh = tl.load(upstream + at, inside, other=0.0).to(tl.float32)
    dh += tl.load(recurrent + at, inside, other=0.0).to(tl.float32)
    dc = tl.load(cell_grad + at, inside, other=0.0)
    if LAYOUT.masked:
        real = tl.load(mask + row, inside, other=0) != 0
        dh = tl.where(real, dh, 0.0)
        dc = tl.where(real, dc, 0.0)
    dc += dh * o * (1.0 - t * t)
    di = dc * g * i * (1.0 - i)
    df = dc * before * f * (1.0 - f)
    dg = dc * i * (1.0 - g * g)
    do = dh * t * o * (1.0 - o)
    _store_gates(gates + first, di, df, dg, do, inside, UNITS)
    tl.store(cell_grad + at, dc * f, inside)
