"""Convolutions of several filter widths side by side, whose steps agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from danq.core.dropout import TorchDropout
from danq.core.filter_lookup import SYMBOLS
from danq.core.freezing import Freezable
from danq.core.masks import zero_padding
from danq.core.one_hot_conv import OneHotConv


def divided(total: int, parts: int) -> list[int]:
    """Divide a number of filters among several widths; the first ones get the remainder."""
    return [total // parts + (number < total % parts) for number in range(parts)]


def margins(width: int) -> tuple[int, int]:
    """Positions that are added before and after an input, so that a filter keeps its length."""
    return (width - 1) // 2, width - 1 - (width - 1) // 2


class ParallelOneHotConv(Freezable):
    """`OneHotConv` layers of several widths side by side: ``(B, L) -> (B, T, F)``.

    Each layer reads the input with unknown symbols (N) before and after it, so that the filters of
    all widths are centred on the same symbol: ``T = L // pool``. The features are those of the
    first width, then of the second, and so on.

    Parameters
    ----------
    filters
        Number of filters F, which are divided equally among the widths.
    widths
        Widths of the filters in symbols.
    pool, unknown
        As in `OneHotConv`.
    kind
        Class of the layers, `OneHotConv` or `BothStrandsConv`.

    Notes
    -----
    First layer of DREAM-RNN (Rafi et al., Nature Biotechnology 2024), with zeros at the ends.
    """

    def __init__(
        self,
        filters: int,
        widths: Sequence[int],
        *,
        pool: int = 1,
        unknown: float = 0.0,
        kind: type[OneHotConv] = OneHotConv,
    ) -> None:
        super().__init__()
        if not 0 < len(widths) <= filters:
            raise ValueError(f"{filters} filters for {len(widths)} widths")
        self.layers = nn.ModuleList(
            kind(share, width, pool=pool, unknown=unknown)
            for share, width in zip(divided(filters, len(widths)), widths, strict=True)
        )
        self.widths, self.pool, self.unknown = tuple(widths), pool, unknown
        self.out_features = filters

    def steps(self, length: int) -> int:
        """Number of steps T for an input of ``length`` symbols."""
        return length // self.pool

    def forward(self, x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"]) -> Float[Tensor, "B T F"]:
        """Pooled activations of codes or of soft one-hot channels."""
        outside = SYMBOLS if x.dim() == 2 else self.unknown
        parts = [
            layer(F.pad(x, margins(width), value=outside))
            for layer, width in zip(self.layers, self.widths, strict=True)
        ]
        return torch.cat(parts, dim=2)


class StepConv(nn.Module):
    """Convolutions of several widths over steps, ReLU and dropout: ``(B, T, F) -> (B, T, G)``.

    The number of steps stays the same: zeros are added before the first and after the last real
    step. Outputs of padded steps are 0.

    Parameters
    ----------
    in_features
        Features F of a step.
    channels
        Output features G, which are divided equally among the widths.
    widths
        Widths of the filters in steps.
    dropout
        Dropout after the ReLU.

    Notes
    -----
    The blocks after the BiLSTM of DREAM-RNN (Rafi et al., Nature Biotechnology 2024).
    """

    def __init__(
        self, in_features: int, channels: int, widths: Sequence[int], *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 < len(widths) <= channels:
            raise ValueError(f"{channels} channels for {len(widths)} widths")
        self.widths = tuple(widths)
        self.layers = nn.ModuleList(
            nn.Conv1d(in_features, share, width)
            for share, width in zip(divided(channels, len(widths)), widths, strict=True)
        )
        self.dropout = TorchDropout(dropout)
        self.out_features = channels

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        real = None if mask is None else mask.unsqueeze(2)
        channels = zero_padding(x, real).transpose(1, 2)
        parts = [
            layer(F.pad(channels, margins(width)))
            for layer, width in zip(self.layers, self.widths, strict=True)
        ]
        y = F.relu(torch.cat(parts, dim=1)).transpose(1, 2)
        return self.dropout(zero_padding(y, real))


class TemporalStack(nn.Module):
    """Temporal layers one after another: ``(B, T, F) -> (B, T, G)``.

    Parameters
    ----------
    layers
        Modules with ``out_features`` that take ``(B, T, F)`` and a mask, such as `Recurrent` and
        `StepConv`; at least one.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.out_features = int(self.layers[-1].out_features)  # type: ignore[arg-type]

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        for layer in self.layers:
            x = layer(x, mask)
        return x
