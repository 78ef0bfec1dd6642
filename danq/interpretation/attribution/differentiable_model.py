"""A model as a differentiable function of soft one-hot sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from danq.amounts import AmountUnit, columns_of_units
from danq.core import CnnRnn, ConvEncoder, NormalisedEncoder, OneHotConv, PaddedCnnRnn
from danq.core.one_hot_conv import one_hot
from danq.core.parallel_filters import ParallelOneHotConv, margins
from danq.errors import InputError
from danq.inference.engine.forward import evaluation_copy
from danq.inference.mutagenesis.whole_window_effects import device_odds
from danq.inference.track_levels import TrackLevels
from danq.models import Model
from danq.models.targets import track_scores

Channels = Float[Tensor, "B 4 L"]
"""Soft one-hot sequences: the fractions of A, C, G and T at each position."""


class FirstLayer(nn.Module):
    """The motif filters of a model, divided into their linear part and the rest.

    On a straight path between two sequences, the linear part is linear in the position on the path.
    Its scores are therefore computed at both ends only, and the gradients with respect to scores
    are added up before one backward pass through the filters.

    Parameters
    ----------
    layer
        `OneHotConv`, or several side by side.

    Attributes
    ----------
    given
        Scores of each layer that `forward` continues with.
    """

    def __init__(self, layer: OneHotConv | ParallelOneHotConv) -> None:
        super().__init__()
        several = isinstance(layer, ParallelOneHotConv)
        self.layers = layer.layers if several else nn.ModuleList([layer])
        self.margins = [margins(width) for width in layer.widths] if several else [(0, 0)]
        self.unknown, self.steps = layer.unknown, layer.steps
        self.given: Sequence[Tensor] = ()

    def scores(self, channels: Channels) -> list[Float[Tensor, "B F S"]]:
        """Scores of the filters of each layer."""
        return [
            layer.scores(F.pad(channels, margin, value=self.unknown))  # type: ignore[operator]
            for layer, margin in zip(self.layers, self.margins, strict=True)
        ]

    def forward(self, _: Tensor) -> Float[Tensor, "B T F"]:
        parts = [
            layer.pooled(one)  # type: ignore[operator]
            for layer, one in zip(self.layers, self.given, strict=True)
        ]
        return torch.cat(parts, dim=2)


class Padding:
    """How the sequences of a batch are moved to the start of the input, in a `PaddedCnnRnn`.

    Parameters
    ----------
    module
        The model.
    codes
        The batch.

    Attributes
    ----------
    mask
        ``(B, T)`` True at real steps; None where all are.
    """

    def __init__(self, module: CnnRnn, codes: UInt8[Tensor, "B L"]) -> None:
        self.mask: Tensor | None = None
        self._before: Tensor | None = None
        if isinstance(module, PaddedCnnRnn):
            mask = module.aligned(codes)[1]
            self.mask = None if bool(mask.all()) else mask
            self._before, self._length = module.padding(codes)
        self._along = torch.arange(codes.shape[1], device=codes.device)

    def moved(self, channels: Channels, rows: Int64[Tensor, "B"], unknown: float) -> Channels:
        """Sequences at the start of the input.

        Parameters
        ----------
        channels
            Sequences with the padding of those of the batch.
        rows
            Row of the batch whose padding each sequence has.
        unknown
            Value of unknown bases.
        """
        if self._before is None:
            return channels
        index = (self._along + self._before[rows].unsqueeze(1)).clamp(max=len(self._along) - 1)
        found = channels.gather(2, index.unsqueeze(1).expand_as(channels))
        outside = self._along >= self._length[rows].unsqueeze(1)
        return found.masked_fill(outside.unsqueeze(1), unknown)

    def steps(self, rows: Int64[Tensor, "B"]) -> Tensor | None:
        """The mask of some rows."""
        return None if self.mask is None else self.mask[rows]


class DifferentiableModel:
    """Outputs of some tracks as a function of the scores of the first layer.

    It shares the memory of the model's weights, which get no gradients. On a CUDA device, the
    recurrent layers are in training mode, because cuDNN computes no gradients of others; they have
    no dropout of their own, so their outputs are those of evaluation.

    Parameters
    ----------
    model
        The model.
    levels
        Levels of the selected tracks.
    level
        ``"bits"`` or ``"value"``, as in `danq.inference.track_levels.Levels`.

    Raises
    ------
    InputError
        When the first layer of the model does not read one-hot channels.
    """

    def __init__(self, model: Model, levels: TrackLevels, level: str) -> None:
        self._targets, self._level = model.spec.targets, level
        self._units = [
            (unit, torch.from_numpy(columns)) for unit, columns in columns_of_units(levels.units)
        ]
        self._measured = levels.measured
        self.device = model.options.torch_device
        self.module = _without_gradients(evaluation_copy(model.module, self.device))
        self.first = _divided(self.module, str(model.path or "the model"))
        self._dtype = next(self.first.parameters()).dtype

    def channels(self, codes: UInt8[Tensor, "B L"]) -> Channels:
        """One-hot channels; the value that the model gives to N for unknown bases."""
        return one_hot(codes, self.first.unknown).to(self._dtype)

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array in the precision and on the device of the model."""
        return torch.from_numpy(array).to(self.device, self._dtype)

    def outputs(
        self,
        scores: Sequence[Float[Tensor, "B F S"]],
        mask: Tensor | None,
        tracks: Int64[Tensor, "P"],
    ) -> Float[Tensor, "B P"]:
        """Outputs of tracks, from the scores of the first layer."""
        self.first.given = scores
        # Not the forward of a PaddedCnnRnn, which looks for padding in codes.
        numbers = track_scores(CnnRnn.forward(self.module, scores[0], mask), self._targets)
        return self._levels(numbers[:, tracks])

    def _levels(self, numbers: Float[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        if len(self._units) == 1:
            return self._levels_of(self._units[0][0], numbers)
        parts = [self._levels_of(unit, numbers[:, columns]) for unit, columns in self._units]
        order = torch.cat([columns for _, columns in self._units]).argsort()
        return torch.cat(parts, dim=1)[:, order]

    def _levels_of(self, unit: AmountUnit | None, numbers: Tensor) -> Tensor:
        if unit is None:
            return getattr(device_odds(numbers), self._level)
        if not self._measured:
            return numbers
        undo = {"log1p": torch.expm1, "asinh": torch.sinh}.get(unit.transform)
        return (numbers if undo is None else undo(numbers)) / unit.scale


def _without_gradients(module: CnnRnn) -> CnnRnn:
    """Give a copy of a model its own parameter objects, in the same memory, without gradients."""
    for layer in module.modules():
        for name, value in list(layer._parameters.items()):
            if value is not None:
                setattr(layer, name, nn.Parameter(value.detach(), requires_grad=False))
        if isinstance(layer, nn.RNNBase):
            # cuDNN has no backward pass in evaluation mode.
            layer.train().dropout = 0.0
    return module


def _divided(module: CnnRnn, owner: str) -> FirstLayer:
    """Replace the first layer of a model by a `FirstLayer`, and return it."""
    parent: nn.Module = module
    name = "encoder"
    layer = getattr(module, "encoder", None)
    if isinstance(layer, NormalisedEncoder):
        parent, layer = layer, layer.encoder
    if isinstance(layer, ConvEncoder):
        parent, name, layer = layer, "first", layer.first
    if not isinstance(module, CnnRnn) or not isinstance(layer, OneHotConv | ParallelOneHotConv):
        raise InputError(
            f"the first layer of {owner} is a {type(layer).__name__}, which reads codes of bases, "
            "so that there are no gradients",
            remedy="Use the method ism, which any model can do",
        )
    first = FirstLayer(layer)
    setattr(parent, name, first)
    return first
