"""The layers of a model, copied and split for incremental evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from danq.core import (
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Flatten,
    Mlp,
    MultiLabel,
    OneHotConv,
    PaddedCnnRnn,
    Recurrent,
)
from danq.inference.engine.forward import evaluation_copy
from danq.inference.engine.lstm_rows import LstmRows
from danq.inference.engine.packed_matrix import PackedMatrix
from danq.inference.engine.pass_planning import Alternates, EncoderSteps, PassLimits
from danq.inference.engine.recurrent_scan import (
    RecurrentDirection,
    Segment,
    StepInputs,
    add_rows,
    changes_without_recurrence,
    scan,
    segments,
)

ENCODED_VALUES = 750_000
"""Values of the encoder that are computed at a time on a CPU: 3 MB in float32."""


def why_not_incremental(module: nn.Module) -> str | None:
    """Why a model cannot be evaluated incrementally; None where it can."""
    if not isinstance(module, CnnRnn):
        return f"{type(module).__name__} is not a CnnRnn"
    if isinstance(module, PaddedCnnRnn):
        return "the padding of sequences is masked"
    encoder = module.encoder
    first = encoder.first if isinstance(encoder, ConvEncoder) else encoder
    if not isinstance(first, OneHotConv):
        return f"the first layer of its encoder is of the kind {type(first).__name__}"
    stages = list(encoder.stages) if isinstance(encoder, ConvEncoder) else []
    if any(isinstance(stage, ConvStage) and max(stage.padding) for stage in stages):
        return "its convolutions are padded"
    if isinstance(module.temporal, Recurrent):
        if type(module.temporal.rnn) not in (nn.LSTM, nn.GRU):
            return f"its recurrent cell is a {type(module.temporal.rnn).__name__}"
        if module.temporal.rnn.num_layers > 1:
            return "its recurrent layers are stacked: a change reaches every step of the second"
    elif module.temporal is not None:
        return f"its temporal layer is a {type(module.temporal).__name__}"
    if module.pooling is None:
        return f"its head ({type(module.head).__name__}) reads every step"
    if not isinstance(module.pooling, Flatten):
        return f"its pooling is {type(module.pooling).__name__}, not Flatten"
    if type(module.head) is not MultiLabel or not isinstance(module.head.body, Mlp):
        return f"its head is a {type(module.head).__name__}"
    return None


def runs_by_rows(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether an LSTM runs as `LstmRows`; oneDNN's products of bfloat16 use instructions for it."""
    return device.type == "cpu" and dtype == torch.float32


class SplitModel:
    """Copied layers of a model that can be evaluated incrementally.

    Parameters
    ----------
    module
        A model for which `why_not_incremental` gives None.
    dtype
        Precision of the products, float32 or bfloat16.
    device
        Where the copies are.

    Attributes
    ----------
    lstm
        The directions of an LSTM that runs by rows; those of other layers are ``directions``.
    outputs
        Number of outputs of the model.
    steps
        Which bases the steps of the encoder read.
    limits
        Maximum size of a pass.
    """

    def __init__(self, module: CnnRnn, dtype: torch.dtype, device: torch.device) -> None:
        assert isinstance(module.pooling, Flatten)
        assert isinstance(module.head, MultiLabel)
        assert isinstance(module.encoder, OneHotConv | ConvEncoder)
        self.dtype, self.device = dtype, device
        self.outputs = module.head.out_features
        self.encoder = evaluation_copy(module.encoder, device)
        self.steps = EncoderSteps.of(self.encoder, module.pooling.steps)
        self.directions: list[RecurrentDirection] = []
        self.lstm: list[LstmRows] = []
        rnn: nn.LSTM | nn.GRU | None = None
        if isinstance(module.temporal, Recurrent):
            rnn = evaluation_copy(module.temporal.rnn, device)  # type: ignore[assignment]
        dense = [*module.head.body, module.head.output]  # type: ignore[misc]
        first, *later = [layer for layer in dense if not isinstance(layer, nn.Dropout)]
        assert isinstance(first, nn.Linear)
        self.later_layers = evaluation_copy(nn.Sequential(*later), device)
        self._copy_first_layer(first, rnn)
        gates = first.out_features if rnn is None else 4 * rnn.hidden_size
        self.limits = PassLimits.of(gates, self.steps.length, cpu=device.type == "cpu")

    def _copy_first_layer(self, first: nn.Linear, rnn: nn.LSTM | nn.GRU | None) -> None:
        """Copy the recurrent layer, and in parts the first dense layer, which is the largest.

        A second copy of the whole layer takes longer than loading it.
        """
        length = self.steps.length
        # With a multiple of 16 features, products take a fifth less time; the added ones are 0.
        width = -(-first.out_features // 16) * 16
        bias = nn.functional.pad(first.bias.detach().float(), (0, width - first.out_features))
        self.bias = bias.to(self.device)
        self.first_features = first.out_features
        by_step = first.weight.detach().view(first.out_features, length, -1)
        sides = () if rnn is None else (False, True)[: 1 + rnn.bidirectional]
        if isinstance(rnn, nn.LSTM) and runs_by_rows(self.dtype, self.device):
            for own, reverse in zip(by_step.split(rnn.hidden_size, 2), sides, strict=True):
                own = own.to(self.device, torch.float32)
                padded = nn.functional.pad(own, (0, 0, 0, 0, 0, width - len(own)))
                self.lstm.append(LstmRows(rnn, reverse, padded))
            return
        if rnn is not None:
            self.directions = [RecurrentDirection(rnn, side, self.dtype) for side in sides]
        # For each direction and segment, the weights of its outputs (D, steps * H).
        self.weights: dict[tuple[int, range], PackedMatrix] = {}
        parts = [
            (number, direction.units, steps)
            for number, direction in enumerate(self.directions)
            for steps in segments(length, reverse=direction.reverse)
        ]
        if not self.directions:
            features = first.in_features // length
            parts = [(0, features, range(step, step + 1)) for step in range(length)]
        for direction, units, steps in parts:
            own = by_step[:, :, direction * units : (direction + 1) * units]
            part = torch.zeros(width, len(steps) * units, dtype=self.dtype, device=self.device)
            for slot, step in enumerate(steps):
                part[: len(own), slot * units : (slot + 1) * units] = own[:, step]
            self.weights[direction, steps] = PackedMatrix(part)

    def encode(self, reference: UInt8[np.ndarray, "R L"], alternates: Alternates) -> StepInputs:
        """Encode all steps of the references and the changed steps of the alternates."""
        device, known, (length, field, stride) = self.device, len(reference), self.steps
        counts = np.maximum(0, alternates.last - alternates.first + 1)
        offset = np.cumsum(counts) - counts
        rows = known * length + int(counts.sum())
        values = torch.empty(rows, self.encoder.out_features, dtype=self.dtype, device=device)
        inputs = StepInputs(values, known, length, offset, *alternates[1:])
        by_step = values[: known * length].view(length, known, -1)
        for batch in self._encoder_batches(known, length):
            codes = torch.from_numpy(np.ascontiguousarray(reference[batch])).to(device)
            by_step[:, batch] = self.encoder(codes).transpose(0, 1)
        for count in np.unique(counts[counts > 0]):
            alike = np.flatnonzero(counts == count)
            bases = field + (int(count) - 1) * stride
            for batch in self._encoder_batches(len(alike), int(count)):
                which = alike[batch]
                positions = alternates.first[which, None] * stride + np.arange(bases)
                codes = torch.from_numpy(alternates.codes[which[:, None], positions]).to(device)
                index = torch.from_numpy((offset[which, None] + np.arange(count)).ravel())
                encoded = self.encoder(codes).flatten(0, 1).to(self.dtype)
                inputs.changed[index.to(device)] = encoded
        return inputs

    def _encoder_batches(self, windows: int, steps: int) -> Iterator[slice]:
        """Windows that are encoded together; on a CPU their steps stay in the cache."""
        most = windows
        if self.device.type == "cpu":
            most = max(1, ENCODED_VALUES // (steps * self.encoder.out_features))
        for start in range(0, windows, max(1, most)):
            yield slice(start, min(windows, start + most))

    def first_layer(self, inputs: StepInputs, tolerance: float) -> Float32[Tensor, "N D"]:
        """Sums of the first dense layer: of the references, then of the alternates."""
        count, device = inputs.references, self.device
        sums = torch.zeros(count + len(inputs.reference_of), len(self.bias), device=device)
        sums[:count] = self.bias
        for layer in self.lstm:
            layer.add_to(sums, inputs, tolerance)
        for direction, segment in self._segments(inputs, tolerance):
            values = self.weights[direction, segment.steps](segment.outputs)
            add_rows(sums, np.concatenate([np.arange(count), count + segment.alternates]), values)
        sums[count:] += sums[torch.from_numpy(inputs.reference_of).to(device)]
        return sums[:, : self.first_features]

    def _segments(self, inputs: StepInputs, tolerance: float) -> Iterator[tuple[int, Segment]]:
        """Outputs of the recurrent layer, with the index of their direction."""
        if not self.directions and not self.lstm:
            yield from ((0, segment) for segment in changes_without_recurrence(inputs))
        for number, direction in enumerate(self.directions):
            for segment in scan(direction, inputs, tolerance=tolerance):
                yield number, segment
