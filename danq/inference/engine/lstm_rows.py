"""An LSTM on the CPU over references and alternates, and its part of the first dense layer."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from danq.inference.engine import _lstm_rows_kernel as kernels
from danq.inference.engine._lstm_tile import GATES, PANEL
from danq.inference.engine.packed_matrix import PackedMatrix
from danq.inference.engine.recurrent_scan import StepInputs

BLOCK_ROWS = 240
"""Alternates whose differences are in memory together: a multiple of a thread's rows, and enough
for a fast product with the weights of the dense layer."""

SEGMENT_STEPS = kernels.CHECKED_STEPS
"""Steps of one product with the weights of the dense layer.

Products of oneDNN do not depend on the number of threads; those of MKL, torch's own, do.
"""


class LstmRows:
    """One direction of an LSTM in float32, with the weights of the dense layer that reads it.

    `danq.inference.engine.recurrent_scan.scan` advances all rows by one step at a time, with a
    product of matrices for each. Here a compiled loop takes a group of rows through all steps, so
    that its states stay in the cache.

    Parameters
    ----------
    rnn
        An LSTM of one layer.
    reverse
        Read backwards, with the weights of the backward direction.
    dense
        ``(D, T, H)`` weights of the first dense layer for the outputs of this direction.
    """

    def __init__(self, rnn: nn.LSTM, reverse: bool, dense: Float32[Tensor, "D T H"]) -> None:
        end = "_l0_reverse" if reverse else "_l0"
        self.reverse, units = reverse, rnn.hidden_size
        self._units = padded = -(-units // PANEL) * PANEL
        inner, outer = (getattr(rnn, f"weight_{of}{end}").detach().float() for of in ("hh", "ih"))
        zero = torch.zeros(GATES * units)
        ours, given = (getattr(rnn, f"bias_{of}{end}", zero).detach() for of in ("hh", "ih"))
        bias = ours.float() + given.float()
        pad = padded - units
        by_gate = nn.functional.pad(inner.view(GATES, units, units), (0, pad, 0, pad))
        by_panel = by_gate.view(GATES, -1, PANEL, padded).permute(1, 0, 3, 2)
        biases = nn.functional.pad(bias.view(GATES, units), (0, pad))
        self._weights = kernels.LstmWeights(
            by_panel.contiguous().numpy(),
            biases.view(GATES, -1, PANEL).transpose(0, 1).contiguous().numpy(),
        )
        inputs = nn.functional.pad(outer.view(GATES, units, -1), (0, 0, 0, pad))
        self._weight_ih = PackedMatrix(inputs.flatten(0, 1).contiguous())
        padded_dense = nn.functional.pad(dense.flip(1) if reverse else dense, (0, pad))
        self._dense = [
            PackedMatrix(steps.flatten(1).contiguous())
            for steps in padded_dense.split(SEGMENT_STEPS, 1)
        ]

    def add_to(self, sums: Float32[Tensor, "M D"], inputs: StepInputs, tolerance: float) -> None:
        """Add to the sums of the dense layer.

        Parameters
        ----------
        sums
            Of the references, then of the alternates; changed in place. An alternate gets what its
            outputs add to the sum of its reference.
        inputs
            References and alternates.
        tolerance
            As for `danq.inference.engine.recurrent_scan.scan`.
        """
        count, length = inputs.references, inputs.length
        products = self._weight_ih(inputs.values).view(-1, GATES, self._units).numpy()
        shape = (count, length + 1, self._units)
        known = kernels.References(np.empty(shape, np.float32), np.empty(shape, np.float32))
        kernels.scan_references(self._weights, products, self.reverse, known)
        sums[:count] += self._dense_products(torch.from_numpy(known.hidden)[:, 1:], 0)
        starts = length - 1 - inputs.last if self.reverse else inputs.first
        order = np.argsort(starts, kind="stable")
        order = order[(inputs.first <= inputs.last)[order]]
        for at in range(0, len(order), BLOCK_ROWS):
            some = order[at : at + BLOCK_ROWS]
            first = int(starts[some[0]]) // SEGMENT_STEPS
            start = first * SEGMENT_STEPS
            change = np.empty((len(some), length - start, self._units), np.float32)
            ends = np.empty(-(-len(some) // kernels.GROUP), np.int64)
            kernels.scan_alternates(
                self._weights,
                products,
                known,
                self._rows(inputs, some),
                kernels.Reading(self.reverse, start, tolerance),
                change.reshape(len(some), -1),
                ends,
            )
            read = int(ends.max()) - start
            added = self._dense_products(torch.from_numpy(change[:, :read]), first)
            sums.index_add_(0, torch.from_numpy(count + some), added)

    def _dense_products(
        self, outputs: Float32[Tensor, "M S H"], first: int
    ) -> Float32[Tensor, "M D"]:
        """Sums of the dense layer from the outputs of whole segments, ``first`` and later ones."""
        segments = outputs.split(SEGMENT_STEPS, 1)
        products = (
            weights(steps.flatten(1))
            for weights, steps in zip(self._dense[first:], segments, strict=False)
        )
        return sum(products, torch.zeros(()))

    def _rows(self, inputs: StepInputs, some: Int[np.ndarray, "N"]) -> kernels.Rows:
        source = inputs.length * inputs.references + inputs.offset
        own = (inputs.reference_of, inputs.first, inputs.last, source)
        return kernels.Rows(*(part[some] for part in own))
