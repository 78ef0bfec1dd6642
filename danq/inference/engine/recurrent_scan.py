"""A recurrent layer over references and the alternates that diverge from them at some step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from danq.core._bfloat16 import as_array
from danq.inference.engine import _lstm_step_kernel as kernels
from danq.inference.engine.packed_matrix import PackedMatrix

SEGMENT_STEPS = 5
"""Steps whose outputs are passed on together; alternates leave the scan between two segments."""


class StepInputs(NamedTuple):
    """Inputs of the recurrent layer for references and alternates.

    The inputs of an alternate equal those of its reference except in steps ``first`` to ``last``;
    in none where ``last < first``.

    Attributes
    ----------
    values
        ``(T R + S, F)``, float32 or bfloat16, the precision of the products: the inputs of all
        references, ordered by step, then the changed inputs of all alternates, ordered by
        alternate and step.
    references
        R, number of references.
    length
        T, number of steps.
    offset
        ``(A,)`` index of an alternate's first changed input among the changed inputs.
    reference_of
        ``(A,)`` index of an alternate's reference.
    first, last
        ``(A,)`` first and last changed step of an alternate, both included.
    """

    values: Float[Tensor, "N F"]
    references: int
    length: int
    offset: Int[np.ndarray, "A"]
    reference_of: Int[np.ndarray, "A"]
    first: Int[np.ndarray, "A"]
    last: Int[np.ndarray, "A"]

    def of_references(self, step: int) -> Float[Tensor, "R F"]:
        """Inputs of the references at a step."""
        return self.values[step * self.references : (step + 1) * self.references]

    @property
    def changed(self) -> Float[Tensor, "S F"]:
        """Changed inputs of the alternates."""
        return self.values[self.length * self.references :]


class Segment(NamedTuple):
    """Outputs of consecutive steps, for the references and the active alternates.

    Attributes
    ----------
    steps
        Indices of the steps, in the order of reading.
    outputs
        ``(R + N, len(steps) * H)`` hidden states of the references, then differences of the
        alternates from their references.
    alternates
        ``(N,)`` indices of these alternates.
    """

    steps: range
    outputs: Float[Tensor, "M G"]
    alternates: Int[np.ndarray, "N"]


def segments(length: int, *, reverse: bool) -> list[range]:
    """Divide the steps of a direction into segments, in the order of reading."""
    steps = range(length - 1, -1, -1) if reverse else range(length)
    return [steps[start : start + SEGMENT_STEPS] for start in range(0, length, SEGMENT_STEPS)]


def scan(
    direction: RecurrentDirection, inputs: StepInputs, *, tolerance: float
) -> Iterator[Segment]:
    """Run one direction, each alternate from its first changed step on.

    Before that step, an alternate has the states of its reference, which are in the same batch.
    After its last changed step, an alternate leaves the scan once its hidden and cell states are
    within ``tolerance`` of its reference's; its later differences count as 0.

    Parameters
    ----------
    direction
        Weights, in the precision of the inputs.
    inputs
        References and alternates. States are float32.
    tolerance
        With 0, alternates leave only where no difference remains.

    Yields
    ------
    Segment
        Of at most `SEGMENT_STEPS` steps. The next one overwrites its tensors.
    """
    count, length, reverse = inputs.references, inputs.length, direction.reverse
    products = _InputProducts(inputs, direction.weight_ih)
    starts = length - 1 - inputs.last if reverse else inputs.first
    waiting = np.argsort(starts, kind="stable")
    waiting = waiting[(inputs.first <= inputs.last)[waiting]]
    starts = starts[waiting]
    states = _States(direction, count, len(waiting), inputs.values.device)
    done = 0
    for segment in segments(length, reverse=reverse):
        computed = products.compute(segment)
        for slot, step in enumerate(segment):
            joined = int(np.searchsorted(starts, done + slot, "right"))
            new = waiting[states.joined : joined]
            states.join(new, inputs.reference_of[new], slot * direction.units)
            product_of = products.rows(states, step, (step - min(segment)) * count)
            zero_states, with_gap = done + slot == 0, slot == len(segment) - 1
            direction.step(
                states, computed, product_of, slot, zero_states=zero_states, with_gap=with_gap
            )
        done += len(segment)
        active = count + len(states.alternates)
        width = len(segment) * direction.units
        yield Segment(segment, states.change[:active, :width], states.alternates)
        final = (inputs.first if reverse else inputs.last)[states.alternates]
        unchanged_from_here = final >= segment[-1] if reverse else final <= segment[-1]
        states.keep(~(unchanged_from_here & (direction.gap(states) <= tolerance)))


def changes_without_recurrence(inputs: StepInputs) -> Iterator[Segment]:
    """`scan` for a model without a recurrent layer: one segment per step, of the inputs."""
    device = inputs.values.device
    for step in range(inputs.length):
        alternates = np.flatnonzero((inputs.first <= step) & (step <= inputs.last))
        index = torch.from_numpy(inputs.offset[alternates] + step - inputs.first[alternates])
        reference_of = torch.from_numpy(inputs.reference_of[alternates]).to(device)
        known = inputs.of_references(step)
        change = inputs.changed[index.to(device)] - known[reference_of]
        yield Segment(range(step, step + 1), torch.cat([known, change]), alternates)


def add_rows(
    sums: Float32[Tensor, "M D"], row_of: Int[np.ndarray, "N"], values: Float[Tensor, "N D"]
) -> None:
    """Add row n of ``values`` to row ``row_of[n]`` of ``sums``; no row twice."""
    if sums.device.type == "cpu":
        kernels.add_rows(as_array(sums), row_of, as_array(values))
    else:
        sums.index_add_(0, torch.from_numpy(row_of).to(sums.device), values.float())


class _InputProducts:
    """Products of the inputs, of one segment at a time, so that they are still in the cache."""

    def __init__(self, inputs: StepInputs, weight: PackedMatrix) -> None:
        self._inputs, self._weight = inputs, weight
        counts = np.maximum(0, inputs.last - inputs.first + 1)
        # Step of each changed input, and the row of its product.
        self._step = np.arange(len(inputs.changed)) + np.repeat(
            inputs.first - inputs.offset, counts
        )
        self._row = np.zeros(len(inputs.changed), np.int64)

    def compute(self, segment: range) -> Float[Tensor, "P G"]:
        """Products of the references, ordered by step, then of the changed inputs."""
        inputs, count, low = self._inputs, self._inputs.references, min(segment)
        values = inputs.values[low * count : (low + len(segment)) * count]
        changed = np.flatnonzero((low <= self._step) & (self._step <= max(segment)))
        if len(changed):
            self._row[changed] = len(values) + np.arange(len(changed))
            index = torch.from_numpy(changed).to(values.device)
            values = torch.cat([values, inputs.changed[index]])
        return self._weight(values)

    def rows(self, states: _States, step: int, base: int) -> Int[np.ndarray, "M"]:
        """Row of the products for every row of states at a step.

        ``base`` is the row of the first reference at that step.
        """
        inputs, count, alternates = self._inputs, self._inputs.references, states.alternates
        rows = np.concatenate([np.arange(count), states.reference_of])
        rows += base
        first, last = inputs.first[alternates], inputs.last[alternates]
        changed = np.flatnonzero((first <= step) & (step <= last))
        if len(changed):
            which = alternates[changed]
            rows[count + changed] = self._row[inputs.offset[which] + step - first[changed]]
        return rows


class _States:
    """States of the references, followed by those of the active alternates."""

    def __init__(
        self,
        direction: RecurrentDirection,
        references: int,
        alternates: int,
        device: torch.device,
    ) -> None:
        rows, units, dtype = references + alternates, direction.units, direction.dtype
        self.references, self.joined = references, 0
        self.alternates = np.empty(0, np.int64)
        self.reference_of = np.empty(0, np.int64)
        self.gap = np.zeros(alternates, np.float32)
        self.cell = torch.zeros(rows, units, device=device)
        self.hidden = torch.zeros(rows, units, device=device)
        self.operand = torch.zeros(rows, units, dtype=dtype, device=device)
        self.change = torch.zeros(rows, SEGMENT_STEPS * units, dtype=dtype, device=device)
        if direction.fused:
            states = (self.cell, self.hidden, self.operand, self.change)
            self.arrays = kernels.StateArrays(*map(as_array, states))

    def join(self, alternates: np.ndarray, reference_of: np.ndarray, columns: int) -> None:
        """Start alternates in the states of their references.

        Their differences in the first ``columns`` columns of this segment are 0.
        """
        if not len(alternates):
            return
        self.joined += len(alternates)
        start = self.references + len(self.alternates)
        index = torch.from_numpy(reference_of).to(self.cell.device)
        for state in (self.cell, self.hidden, self.operand):
            state[start : start + len(alternates)] = state[index]
        self.change[start : start + len(alternates), :columns] = 0
        self.alternates = np.concatenate([self.alternates, alternates])
        self.reference_of = np.concatenate([self.reference_of, reference_of])

    def keep(self, kept: np.ndarray) -> None:
        """Remove the other alternates."""
        if kept.all():
            return
        start, rows = self.references, np.flatnonzero(kept)
        index = torch.from_numpy(start + rows).to(self.cell.device)
        for state in (self.cell, self.hidden, self.operand):
            state[start : start + len(rows)] = state[index]
        self.alternates, self.reference_of = self.alternates[rows], self.reference_of[rows]


class RecurrentDirection:
    """One direction of a recurrent layer, with weights packed once for many scans.

    Parameters
    ----------
    rnn
        A recurrent layer that is not stacked.
    reverse
        Read backwards, with the weights of the backward direction.
    dtype
        Precision of the products, float32 or bfloat16.
    """

    def __init__(self, rnn: nn.LSTM | nn.GRU, reverse: bool, dtype: torch.dtype) -> None:
        end = "_l0_reverse" if reverse else "_l0"
        self.reverse, self.lstm = reverse, isinstance(rnn, nn.LSTM)
        self.fused = self.lstm and rnn.weight_hh_l0.device.type == "cpu"
        self.units = rnn.hidden_size
        self.dtype = dtype
        inner, outer = (getattr(rnn, f"weight_{of}{end}").detach().to(dtype) for of in ("hh", "ih"))
        self.weight_hh, self.weight_ih = PackedMatrix(inner), PackedMatrix(outer)
        self.gates = len(inner)
        zero = torch.zeros(self.gates, device=inner.device)
        self.bias_ih = getattr(rnn, f"bias_ih{end}", zero).detach().float()
        self.bias_hh = getattr(rnn, f"bias_hh{end}", zero).detach().float()
        self.bias = (self.bias_ih + self.bias_hh).cpu().numpy()

    def step(
        self,
        states: _States,
        products: Float[Tensor, "P G"],
        product_of: Int[np.ndarray, "M"],
        slot: int,
        *,
        zero_states: bool,
        with_gap: bool,
    ) -> None:
        """Advance all rows by one step.

        Parameters
        ----------
        states
            References and active alternates; changed in place.
        products
            Products of the inputs.
        product_of
            Row of ``products`` for every row of states.
        slot
            Index of the step in its segment.
        zero_states
            Whether all states are still 0.
        with_gap
            Whether `gap` is called next.
        """
        if zero_states:
            recurrent = products.new_zeros(len(product_of), self.gates)
        else:
            recurrent = self.weight_hh(states.operand[: len(product_of)])
        if not self.fused:
            self._step_in_torch(states, recurrent, products, product_of, slot)
            return
        kernels.lstm_step(
            as_array(recurrent),
            as_array(products),
            product_of,
            self.bias,
            states.reference_of,
            states.arrays,
            slot * self.units,
            states.gap if with_gap else states.gap[:0],
        )

    def _step_in_torch(
        self,
        states: _States,
        recurrent: Tensor,
        products: Tensor,
        product_of: np.ndarray,
        slot: int,
    ) -> None:
        """The same with torch's operators, on any device, for LSTM and GRU."""
        device, rows, count = products.device, len(product_of), states.references
        ours = products[torch.from_numpy(product_of).to(device)].float() + self.bias_ih
        theirs = recurrent.float() + self.bias_hh
        hidden, cell = states.hidden[:rows], states.cell[:rows]
        if self.lstm:
            i, f, g, o = (ours + theirs).chunk(4, dim=1)
            cell.copy_(torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g))
            hidden.copy_(torch.sigmoid(o) * torch.tanh(cell))
        else:
            (r, z, n), (s, y, m) = ours.chunk(3, dim=1), theirs.chunk(3, dim=1)
            z = torch.sigmoid(z + y)
            new = torch.tanh(n + torch.sigmoid(r + s) * m)
            hidden.copy_(new + z * (hidden - new))
        states.operand[:rows] = hidden
        change = states.change[:rows, slot * self.units : (slot + 1) * self.units]
        reference_of = torch.from_numpy(states.reference_of).to(device)
        change[:count] = hidden[:count]
        change[count:] = hidden[count:] - hidden[reference_of]

    def gap(self, states: _States) -> Float32[np.ndarray, "N"]:
        """Largest difference of each alternate's states from those of its reference."""
        if self.fused:
            return states.gap[: len(states.alternates)]
        start, stop = states.references, states.references + len(states.alternates)
        reference_of = torch.from_numpy(states.reference_of).to(states.cell.device)
        both = torch.cat([states.hidden, states.cell], dim=1)
        return (both[start:stop] - both[reference_of]).abs().amax(dim=1).cpu().numpy()
