"""Convolutional encoders in one, two or three spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class ConvStage(nn.Module):
    """Convolution, ReLU, max-pool and dropout over ``dims`` spatial dimensions.

    ``(B, in_channels, *spatial) -> (B, channels, *spatial')`` with, along each dimension,
    ``spatial' = (spatial - width + 1 + 2 padding) // pool``.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        channels: int,
        width: int,
        *,
        pool: int = 1,
        padding: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if dims not in _CONV:
            raise ValueError(f"dims is {dims}, not 1, 2 or 3")
        self.dims, self.width, self.pool, self.padding = dims, width, pool, padding
        self.conv = _CONV[dims](in_channels, channels, width, padding=padding)
        self.dropout = nn.Dropout(dropout)
        self.out_features = channels

    def size(self, length: int) -> int:
        """Positions left along a dimension of ``length`` positions."""
        return max(0, length - self.width + 1 + 2 * self.padding) // self.pool

    def forward(self, x: Float[Tensor, "B C ..."]) -> Float[Tensor, "B D ..."]:
        x = F.relu(self.conv(x))
        if self.pool > 1:
            x = _POOL[self.dims](x, self.pool)
        return self.dropout(x)


class ConvEncoder(nn.Module):
    """Convolution stages after one another, then features last.

    In one dimension the positions become steps: ``(B, C, L) -> (B, T, F)``. In two or three the
    stages' map stays as it is: ``(B, C, *spatial) -> (B, F, *spatial')``.

    Parameters
    ----------
    stages
        `ConvStage` modules whose channels fit one another.
    first
        A module that gives ``(B, T, F)`` from the input, such as `SymbolConv`, before the stages
        (one dimension only).
    """

    def __init__(self, stages: Sequence[ConvStage], *, first: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first
        self.stages = nn.Sequential(*stages)
        self.dims = stages[-1].dims
        self.out_features = stages[-1].out_features

    def steps(self, length: int) -> int:
        """Positions left along one dimension of ``length`` positions."""
        if self.first is not None:
            length = self.first.steps(length)  # type: ignore[operator]
        for stage in self.stages:
            length = stage.size(length)  # type: ignore[operator]
        return length

    def forward(self, x: Tensor) -> Tensor:
        if self.first is not None:
            x = self.first(x).transpose(1, 2)
        x = self.stages(x)
        return x.transpose(1, 2) if self.dims == 1 else x
