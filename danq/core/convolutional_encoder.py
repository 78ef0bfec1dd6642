"""Convolutional encoders in one, two or three spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from danq.core.block_interface import features_of
from danq.core.dropout import TorchDropout
from danq.core.freezing import Freezable

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}

Size = int | Sequence[int]
"""One number for all dimensions, or one per dimension."""


class ConvStage(nn.Module):
    """Convolution, ReLU, max-pool and dropout over ``dims`` spatial dimensions.

    ``(B, in_channels, *spatial) -> (B, channels, *spatial')`` with, along each dimension,
    ``spatial' = (spatial - width + 1 + 2 padding) // pool``.

    Parameters
    ----------
    dims
        Number of spatial dimensions: 1, 2 or 3.
    in_channels, channels
        Input and output channels.
    width, pool, padding
        Width of the filters, width and stride of the max-pool, and zeros added at each end; one
        number, or one per dimension.
    dropout
        Dropout after the pool.
    norm
        Batch normalisation before the ReLU (Ioffe & Szegedy, ICML 2015).
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        channels: int,
        width: Size,
        *,
        pool: Size = 1,
        padding: Size = 0,
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        super().__init__()
        if dims not in _CONV:
            raise ValueError(f"dims is {dims}, not 1, 2 or 3")
        self.dims = dims
        self.width, self.pool, self.padding = (_each(n, dims) for n in (width, pool, padding))
        self.conv = _CONV[dims](in_channels, channels, self.width, padding=self.padding)
        self.norm = _NORM[dims](channels) if norm else nn.Identity()
        self.dropout = TorchDropout(dropout)
        self.out_features = channels

    def size(self, length: int, dim: int = 0) -> int:
        """Output positions along spatial dimension ``dim`` for ``length`` input positions."""
        full = length - self.width[dim] + 1 + 2 * self.padding[dim]
        return max(0, full) // self.pool[dim]

    def forward(self, x: Float[Tensor, "B C ..."]) -> Float[Tensor, "B D ..."]:
        x = F.relu(self.norm(self.conv(x)))
        if max(self.pool) > 1:
            x = _POOL[self.dims](x, self.pool)
        return self.dropout(x)


class ConvEncoder(Freezable):
    """Convolution stages in sequence.

    In one dimension the positions become steps: ``(B, C, L) -> (B, T, F)``. In two or three
    dimensions the output is a map: ``(B, C, *spatial) -> (B, F, *spatial')``.

    Parameters
    ----------
    stages
        `ConvStage` modules; each reads the channels of the one before.
    first
        A module before the stages that turns the input into ``(B, T, F)``, such as `OneHotConv`
        (one dimension only).
    """

    def __init__(self, stages: Sequence[ConvStage], *, first: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first
        self.stages = nn.Sequential(*stages)
        self.dims = stages[-1].dims
        self.out_features = stages[-1].out_features

    def steps(self, length: int, dim: int = 0) -> int:
        """Output positions along spatial dimension ``dim`` for ``length`` input positions."""
        if self.first is not None:
            length = self.first.steps(length)  # type: ignore[operator]
        for stage in self.stages:
            length = stage.size(length, dim)  # type: ignore[operator]
        return length

    def forward(self, x: Tensor) -> Tensor:
        if self.first is not None:
            x = self.first(x).transpose(1, 2)
        x = self.stages(x)
        return x.transpose(1, 2) if self.dims == 1 else x


class NormalisedEncoder(Freezable):
    """Batch normalisation of the features of an encoder: ``(B, L) -> (B, T, F)``.

    Parameters
    ----------
    encoder
        A module with ``steps`` and ``out_features`` whose output is ``(B, T, F)``, such as
        `OneHotConv`.

    Notes
    -----
    Ioffe & Szegedy, ICML 2015. The mean and the variance of a feature are those of all steps of the
    batch; in evaluation, moving averages.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.out_features = features_of(encoder)
        self.norm = nn.BatchNorm1d(self.out_features)

    def steps(self, length: int) -> int:
        """Number of steps T for an input of ``length`` positions."""
        return self.encoder.steps(length)  # type: ignore[operator,no-any-return]

    def forward(self, x: Tensor) -> Float[Tensor, "B T F"]:
        y = self.encoder(x)
        return self.norm(y.flatten(0, 1)).view_as(y)


def conv_encoder(
    dims: int,
    in_channels: int,
    channels: Sequence[int],
    *,
    width: Size = 3,
    pool: Size = 2,
    dropout: float = 0.0,
    norm: bool = True,
) -> ConvEncoder:
    """Build an encoder of equal stages; convolutions keep the size, each pool divides it.

    Parameters
    ----------
    dims, in_channels, width, pool, dropout, norm
        As in `ConvStage`; widths are odd.
    channels
        Channels of each stage.
    """
    padding = tuple(n // 2 for n in _each(width, dims))
    return ConvEncoder(
        [
            ConvStage(
                dims,
                before,
                after,
                width,
                pool=pool,
                padding=padding,
                dropout=dropout,
                norm=norm,
            )
            for before, after in zip([in_channels, *channels], channels, strict=False)
        ]
    )


def _each(value: Size, dims: int) -> tuple[int, ...]:
    sizes = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(sizes) != dims:
        raise ValueError(f"{len(sizes)} sizes {sizes} for {dims} dimensions")
    return sizes
