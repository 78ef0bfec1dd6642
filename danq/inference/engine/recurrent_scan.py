"""A recurrent layer over references and over rows that leave them at some step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from danq.core._bfloat16 import as_array
from danq.inference.engine import _scan_kernels as kernels
from danq.inference.engine.packed_matrix import Packed


class Steps(NamedTuple):
    """Inputs of references and of their branches.

    A branch equals its reference but in steps ``first`` to ``last``. It may have none of its own
    (``last < first``).

    Attributes
    ----------
    inputs
        ``(T R + S, F)``: those of the references, step after step, and then the branches' own,
        branch after branch, each step after step. Float32 or bfloat16, in which products are taken.
    references
        R.
    length
        T.
    offset
        ``(A,)`` number of a branch's first own input.
    owner
        ``(A,)`` reference of a branch.
    first, last
        ``(A,)`` first and last step of a branch's own, both included.
    """

    inputs: Float[Tensor, "N F"]
    references: int
    length: int
    offset: Int[np.ndarray, "A"]
    owner: Int[np.ndarray, "A"]
    first: Int[np.ndarray, "A"]
    last: Int[np.ndarray, "A"]

    def at(self, time: int) -> Float[Tensor, "R F"]:
        """The references' inputs at a step."""
        return self.inputs[time * self.references : (time + 1) * self.references]

    @property
    def own(self) -> Float[Tensor, "S F"]:
        """The branches' own inputs."""
        return self.inputs[self.length * self.references :]


class Piece(NamedTuple):
    """Outputs of some steps in a row, of the references and of the branches that are under way.

    Attributes
    ----------
    times
        Steps, in the order in which they were read.
    outputs
        ``(R + N, len(times) * H)`` hidden states of the references, then differences of branches
        from their references.
    which
        ``(N,)`` numbers of these branches.
    """

    times: range
    outputs: Float[Tensor, "M G"]
    which: Int[np.ndarray, "N"]


def scan(layer: Direction, steps: Steps, *, tolerance: float) -> Iterator[Piece]:
    """Read in one direction, each branch from its first own step on.

    Up to there a branch has its reference's states, which the references' rows of the same batch
    hold at that moment. Once the hidden and cell states of a branch are within ``tolerance`` of
    its reference's, past its own steps, it is let go: its further differences count as 0.

    Parameters
    ----------
    layer
        The direction, in the precision of the inputs.
    steps
        References and branches. States are float32.
    tolerance
        0 lets go of branches only where nothing is left of the difference.

    Yields
    ------
    Piece
        Of at most `PIECE` steps. Its tensors are overwritten by the next one.
    """
    count, length, reverse = steps.references, steps.length, layer.reverse
    inputs = _Inputs(steps, layer.weight_ih)
    joins = length - 1 - steps.last if reverse else steps.first
    queue = np.argsort(joins, kind="stable")
    queue = queue[(steps.first <= steps.last)[queue]]
    joins = joins[queue]
    rows = _Rows(layer, count, len(queue), steps.inputs.device)
    for number, piece in enumerate(pieces(length, reverse=reverse)):
        start, low = number * PIECE, min(piece)
        products = inputs.products(piece)
        for slot, time in enumerate(piece):
            arrived = queue[rows.joined : int(np.searchsorted(joins, start + slot, "right"))]
            rows.join(arrived, steps.owner[arrived], slot * layer.units)
            source = inputs.source(rows, time, (time - low) * count)
            fresh, last = start + slot == 0, slot == len(piece) - 1
            layer.step(rows, products, source, slot, fresh=fresh, last=last)
        done = count + len(rows.which)
        width = len(piece) * layer.units
        yield Piece(piece, rows.change[:done, :width], rows.which)
        own = steps.first if reverse else steps.last
        ended = own[rows.which] >= piece[-1] if reverse else own[rows.which] <= piece[-1]
        rows.keep(~(ended & (layer.gap(rows) <= tolerance)))


PIECE = 5
"""Steps that are handed on together; branches are let go between two pieces."""


def pieces(length: int, *, reverse: bool) -> list[range]:
    """The steps of a direction, in the order and in the pieces in which `scan` reads them."""
    times = range(length - 1, -1, -1) if reverse else range(length)
    return [times[start : start + PIECE] for start in range(0, length, PIECE)]


def add_rows(
    sums: Float32[Tensor, "M D"], place: Int[np.ndarray, "N"], part: Float[Tensor, "N D"]
) -> None:
    """Add ``part`` to the rows ``place`` of ``sums``, each named once."""
    if sums.device.type == "cpu":
        kernels.add_rows(as_array(sums), place, as_array(part))
    else:
        sums.index_add_(0, torch.from_numpy(place).to(sums.device), part.float())


def changes_alone(steps: Steps) -> Iterator[Piece]:
    """The same of a model without a temporal layer: its steps themselves, one by one."""
    device = steps.inputs.device
    for time in range(steps.length):
        which = np.flatnonzero((steps.first <= time) & (time <= steps.last))
        place = torch.from_numpy(steps.offset[which] + time - steps.first[which]).to(device)
        owner = torch.from_numpy(steps.owner[which]).to(device)
        known = steps.at(time)
        yield Piece(
            range(time, time + 1), torch.cat([known, steps.own[place] - known[owner]]), which
        )


class _Inputs:
    """Products of the inputs, of one piece at a time so that they are still in the cache."""

    def __init__(self, steps: Steps, weight: Packed) -> None:
        self._steps, self._weight = steps, weight
        spans = np.maximum(0, steps.last - steps.first + 1)
        # Step of each of the branches' own inputs, and the row of its product.
        self._time = np.arange(len(steps.own)) + np.repeat(steps.first - steps.offset, spans)
        self._row = np.zeros(len(steps.own), np.int64)

    def products(self, piece: range) -> Tensor:
        """Those of the references, step after step, and then the branches' own."""
        steps, count, low = self._steps, self._steps.references, min(piece)
        inputs = steps.inputs[low * count : (low + len(piece)) * count]
        own = np.flatnonzero((low <= self._time) & (self._time <= max(piece)))
        if len(own):
            self._row[own] = len(inputs) + np.arange(len(own))
            place = torch.from_numpy(own).to(inputs.device)
            inputs = torch.cat([inputs, steps.own[place]])
        return self._weight(inputs)

    def source(self, rows: _Rows, time: int, base: int) -> Int[np.ndarray, "M"]:
        """Row of the products for every row at a step; those of references begin at ``base``."""
        steps, count, which = self._steps, self._steps.references, rows.which
        source = np.concatenate([np.arange(count), rows.owner])
        source += base
        mine = np.flatnonzero((steps.first[which] <= time) & (time <= steps.last[which]))
        if len(mine):
            own = which[mine]
            source[count + mine] = self._row[steps.offset[own] + time - steps.first[own]]
        return source


class _Rows:
    """States of the references and of the branches that are under way."""

    def __init__(
        self, layer: Direction, references: int, branches: int, device: torch.device
    ) -> None:
        most, units = references + branches, layer.units
        self.references, self.joined = references, 0
        self.which = np.empty(0, np.int64)
        self.owner = np.empty(0, np.int64)
        self.gap = np.zeros(branches, np.float32)
        self.cell = torch.zeros(most, units, device=device)
        self.hidden = torch.zeros(most, units, device=device)
        self.operand = torch.zeros(most, units, dtype=layer.dtype, device=device)
        self.change = torch.zeros(most, PIECE * units, dtype=layer.dtype, device=device)
        states = (self.cell, self.hidden, self.operand, self.change)
        self.arrays = [as_array(state) for state in states] if layer.fused else []

    def join(self, which: np.ndarray, owner: np.ndarray, columns: int) -> None:
        """Let branches begin in their references' states, after ``columns`` of this piece."""
        if not len(which):
            return
        self.joined += len(which)
        start = self.references + len(self.which)
        place = torch.from_numpy(owner).to(self.cell.device)
        for state in (self.cell, self.hidden, self.operand):
            state[start : start + len(which)] = state[place]
        self.change[start : start + len(which), :columns] = 0
        self.which = np.concatenate([self.which, which])
        self.owner = np.concatenate([self.owner, owner])

    def keep(self, wanted: np.ndarray) -> None:
        """Let the other branches go."""
        if wanted.all():
            return
        start, kept = self.references, np.flatnonzero(wanted)
        place = torch.from_numpy(start + kept).to(self.cell.device)
        for state in (self.cell, self.hidden, self.operand):
            state[start : start + len(kept)] = state[place]
        self.which, self.owner = self.which[kept], self.owner[kept]


class Direction:
    """One direction of a recurrent layer, its weights laid out for many scans.

    Parameters
    ----------
    rnn
        A layer with one stack.
    reverse
        Read backwards, with the weights of the backward direction.
    dtype
        In which products are taken, float32 or bfloat16.
    """

    def __init__(self, rnn: nn.LSTM | nn.GRU, reverse: bool, dtype: torch.dtype) -> None:
        end = "_l0_reverse" if reverse else "_l0"
        self.reverse, self.lstm = reverse, isinstance(rnn, nn.LSTM)
        self.fused = self.lstm and rnn.weight_hh_l0.device.type == "cpu"
        self.units = rnn.hidden_size
        self.dtype = dtype
        inner, outer = (getattr(rnn, f"weight_{of}{end}").detach().to(dtype) for of in ("hh", "ih"))
        self.weight_hh, self.weight_ih = Packed(inner), Packed(outer)
        self.gates = len(inner)
        zero = torch.zeros(self.gates, device=inner.device)
        self.bias_ih = getattr(rnn, f"bias_ih{end}", zero).detach().float()
        self.bias_hh = getattr(rnn, f"bias_hh{end}", zero).detach().float()
        self.bias = (self.bias_ih + self.bias_hh).cpu().numpy()

    def step(
        self,
        rows: _Rows,
        products: Tensor,
        source: np.ndarray,
        slot: int,
        *,
        fresh: bool,
        last: bool,
    ) -> None:
        """Move all rows one step on.

        ``fresh`` says that every state is still 0, ``last`` that the gaps are asked for next.
        """
        if fresh:
            recurrent = products.new_zeros(len(source), self.gates)
        else:
            recurrent = self.weight_hh(rows.operand[: len(source)])
        if self.fused:
            cell, hidden, operand, change = rows.arrays
            kernels.lstm_step(
                as_array(recurrent),
                as_array(products),
                source,
                self.bias,
                rows.owner,
                cell,
                hidden,
                operand,
                change,
                slot * self.units,
                self.gates,
                rows.gap if last else rows.gap[:0],
            )
            return
        self._step_anywhere(rows, recurrent, products, source, slot)

    def _step_anywhere(
        self, rows: _Rows, recurrent: Tensor, products: Tensor, source: np.ndarray, slot: int
    ) -> None:
        """The same in torch's operators, on any device, for LSTM and GRU."""
        device, done, count = products.device, len(source), rows.references
        ours = products[torch.from_numpy(source).to(device)].float() + self.bias_ih
        theirs = recurrent.float() + self.bias_hh
        hidden, cell = rows.hidden[:done], rows.cell[:done]
        if self.lstm:
            i, f, g, o = (ours + theirs).chunk(4, dim=1)
            cell.copy_(torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g))
            hidden.copy_(torch.sigmoid(o) * torch.tanh(cell))
        else:
            (r, z, n), (s, y, m) = ours.chunk(3, dim=1), theirs.chunk(3, dim=1)
            z = torch.sigmoid(z + y)
            new = torch.tanh(n + torch.sigmoid(r + s) * m)
            hidden.copy_(new + z * (hidden - new))
        rows.operand[:done] = hidden
        change = rows.change[:done, slot * self.units : (slot + 1) * self.units]
        owner = torch.from_numpy(rows.owner).to(device)
        change[:count] = hidden[:count]
        change[count:] = hidden[count:] - hidden[owner]

    def gap(self, rows: _Rows) -> Float32[np.ndarray, "N"]:
        """Largest difference of each branch's states from its reference's."""
        if self.fused:
            return rows.gap[: len(rows.which)]
        start, done = rows.references, rows.references + len(rows.which)
        owner = torch.from_numpy(rows.owner).to(rows.cell.device)
        states = torch.cat([rows.hidden, rows.cell], dim=1)
        return (states[start:done] - states[owner]).abs().amax(dim=1).cpu().numpy()
