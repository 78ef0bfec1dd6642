"""An LSTM over references, and over alternates from their first changed step on, row by row."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.inference.engine._lstm_tile import GATES, PANEL, TILE, gate_products, next_states

GROUP = 48
"""Rows of a thread: their states and the weights of a panel stay in the second-level cache."""

CHECKED_STEPS = 5
"""Steps after which alternates are compared with their references."""


class LstmWeights(NamedTuple):
    """Weights of a direction, with the units padded to full panels by zeros.

    Attributes
    ----------
    recurrent
        ``(H / PANEL, GATES, H, PANEL)``.
    bias
        ``(H / PANEL, GATES, PANEL)``.
    """

    recurrent: np.ndarray
    bias: np.ndarray


class Rows(NamedTuple):
    """Alternates in the order in which they join.

    Attributes
    ----------
    reference_of
        ``(N,)`` index of the reference.
    first, last
        ``(N,)`` first and last changed step, both included.
    source
        ``(N,)`` row of the products of the first changed step.
    """

    reference_of: np.ndarray
    first: np.ndarray
    last: np.ndarray
    source: np.ndarray


class References(NamedTuple):
    """States of the references before step 0 and after each step, in the order of reading.

    Attributes
    ----------
    hidden, cell
        ``(R, T + 1, H)``.
    """

    hidden: np.ndarray
    cell: np.ndarray


class Reading(NamedTuple):
    """How the alternates of a block are read.

    Attributes
    ----------
    reverse
        Whether the last step of the sequence is read first.
    start
        Step before which no alternate changes, in the order of reading.
    tolerance
        Largest difference of states that counts as none.
    """

    reverse: bool
    start: int
    tolerance: float


@inlined_kernel
def _copy(values, out):
    """Copy an array; an assignment of slices takes long to compile."""
    for u in range(len(out)):
        out[u] = values[u]


@inlined_kernel
def _clear(out, first, last):
    for u in range(first, last):
        out[u] = 0


@inlined_kernel
def _advance(weights, products, source, count, gates, cell, before, after):
    """Compute the states of ``count`` rows after a step: ``cell``, in place, and ``after``."""
    for panel in range(len(weights.recurrent)):
        for tile in range(0, count, TILE):
            for gate in range(GATES):
                gate_products(before, tile, weights.recurrent, panel, gate, weights.bias, gates)
            for slot in range(min(TILE, count - tile)):
                row = tile + slot
                next_states(gates, slot, products, source[row], panel, cell, after, row)


@parallel_kernel
def scan_references(weights, products, reverse, known):
    """Fill ``known``, which is `References`.

    Row ``t R + r`` of ``products`` (P, GATES, H) holds the products of the input of reference r at
    step t of the sequence.
    """
    hidden, cell = known.hidden, known.cell
    references, length, units = hidden.shape
    length -= 1
    for group in numba.prange((references + GROUP - 1) // GROUP):
        low = group * GROUP
        count = min(GROUP, references - low)
        states = np.zeros((2, GROUP, units), np.float32)
        own = np.zeros((GROUP, units), np.float32)
        gates = np.empty((GATES, TILE, PANEL), np.float32)
        source = np.empty(GROUP, np.int64)
        for i in range(count):
            _copy(states[0, i], hidden[low + i, 0])
            _copy(own[i], cell[low + i, 0])
        for s in range(length):
            t = length - 1 - s if reverse else s
            for i in range(count):
                source[i] = t * references + low + i
            _advance(weights, products, source, count, gates, own, states[s % 2], states[1 - s % 2])
            for i in range(count):
                _copy(states[1 - s % 2, i], hidden[low + i, s + 1])
                _copy(own[i], cell[low + i, s + 1])


@parallel_kernel
def scan_alternates(weights, products, known, rows, reading, change, ends):
    """Fill ``change`` (N, S H) with differences of hidden states from those of the references.

    The columns are of the steps from ``reading.start`` on, in the order of reading. An alternate
    starts in the states of its reference. After its last changed step, it leaves once its hidden
    and cell states are within ``reading.tolerance`` of its reference's; its later differences count
    as 0. ``known`` is from `scan_references`, ``rows`` is `Rows` and ``reading`` is `Reading`.
    ``ends`` (ceil(N / GROUP),) receives the step at which each group has no row left.
    """
    hidden, cell = known.hidden, known.cell
    reverse, start, tolerance = reading.reverse, reading.start, reading.tolerance
    references, length, units = hidden.shape
    length -= 1
    total = len(rows.first)
    for group in numba.prange((total + GROUP - 1) // GROUP):
        low = group * GROUP
        count = min(GROUP, total - low)
        states = np.zeros((2, GROUP, units), np.float32)
        own = np.zeros((GROUP, units), np.float32)
        gates = np.empty((GATES, TILE, PANEL), np.float32)
        source = np.empty(GROUP, np.int64)
        which = np.empty(GROUP, np.int64)
        begin = length
        for i in range(count):
            n = low + i
            which[i] = n
            begin = min(begin, length - 1 - rows.last[n] if reverse else rows.first[n])
        for i in range(count):
            r = rows.reference_of[low + i]
            _copy(hidden[r, begin], states[begin % 2, i])
            _copy(cell[r, begin], own[i])
            _clear(change[low + i], 0, (begin - start) * units)
        s = begin
        while s < length and count > 0:
            t = length - 1 - s if reverse else s
            for i in range(count):
                n = which[i]
                if rows.first[n] <= t and t <= rows.last[n]:
                    source[i] = rows.source[n] + t - rows.first[n]
                else:
                    source[i] = t * references + rows.reference_of[n]
            after = states[1 - s % 2]
            _advance(weights, products, source, count, gates, own, states[s % 2], after)
            s += 1
            for i in range(count):
                n = which[i]
                own_reference = hidden[rows.reference_of[n], s]
                column = (s - 1 - start) * units
                for u in range(units):
                    change[n, column + u] = after[i, u] - own_reference[u]
            if s % CHECKED_STEPS != 0:
                continue
            kept = 0
            for i in range(count):
                n = which[i]
                r = rows.reference_of[n]
                changes = t > rows.first[n] if reverse else t < rows.last[n]
                if not changes and _within(after[i], own[i], hidden[r, s], cell[r, s], tolerance):
                    _clear(change[n], (s - start) * units, change.shape[1])
                    continue
                if kept < i:
                    which[kept] = n
                    _copy(after[i], after[kept])
                    _copy(own[i], own[kept])
                kept += 1
            count = kept
        ends[group] = s


@inlined_kernel
def _within(hidden, cell, known_hidden, known_cell, tolerance):
    """Whether all states are within the tolerance; False with NaN."""
    for u in range(len(hidden)):
        if not abs(hidden[u] - known_hidden[u]) <= tolerance:
            return False
        if not abs(cell[u] - known_cell[u]) <= tolerance:
            return False
    return True
