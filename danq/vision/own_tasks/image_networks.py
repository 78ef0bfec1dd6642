"""Networks of images and frames, whose depth follows from the size of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import FrameEncoder, Freezable, conv_encoder, features_of
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.backbones import backbone_of
from danq.vision.own_tasks.pixel_normalisation import Normalised

_POSITIONS = 4
"""Rows and columns of a map, at least, that the dense layer of a CNN reads separately."""


class ResidualBlock(nn.Module):
    """Two convolutions of width 3 and a residual: ``(B, F, h, w) -> (B, G, h', w')``.

    Parameters
    ----------
    in_channels, channels
        Input and output channels.
    stride
        Step of the first convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.skip = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Float[Tensor, "B F h w"]) -> Float[Tensor, "B G i j"]:
        first, second = self.norms
        y = second(self.second(F.relu(first(self.first(x)))))
        return F.relu(y + self.skip(x))


class ResidualEncoder(Freezable):
    """A small residual network: ``(B, C, H, W) -> (B, F, h, w)``.

    A convolution of width 3, then one stage of residual blocks for each number of channels; every
    stage after the first halves the map.

    Parameters
    ----------
    in_channels
        Channels of the image.
    channels
        Channels of each stage.
    blocks
        Residual blocks of a stage.
    stride
        Step of the first convolution.

    Notes
    -----
    He et al., CVPR 2016.
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], *, blocks: int = 1, stride: int = 1
    ) -> None:
        super().__init__()
        first = channels[0]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, first, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
        )
        stages = [
            ResidualBlock(before if n == 0 else after, after, 2 if n == 0 and stage else 1)
            for stage, (before, after) in enumerate(zip([first, *channels], channels, strict=False))
            for n in range(blocks)
        ]
        self.stages = nn.Sequential(*stages)
        self.halvings = len(channels) - 1 + (stride == 2)
        self.out_features = channels[-1]

    def steps(self, length: int, dim: int = 0) -> int:
        """Output positions along a dimension for ``length`` input positions."""
        return -(-length >> self.halvings)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        return self.stages(self.stem(x))


def stages_that_fit(channels: Sequence[int], shape: Sequence[int]) -> Sequence[int]:
    """The first of ``channels`` whose halvings leave a map of an image ``(..., H, W)``.

    Raises
    ------
    ValueError
        When ``channels`` is empty, or the image has a side of one pixel.
    """
    side = min(shape[-2:])
    if not channels or side < 2:
        raise ValueError(f"channels are {list(channels)} for images of {side} pixels")
    return channels[: max(1, side.bit_length() - 1)]


def image_map(metadata: Metadata, network: str, channels: Sequence[int], blocks: int) -> nn.Module:
    """Make a network of an image or frame that returns a map: ``(B, C, H, W) -> (B, F, h, w)``.

    Parameters
    ----------
    metadata
        ``shape`` of the image or clip, and ``normalisation``.
    network
        ``"cnn"``, or ``"resnet"`` for `ResidualEncoder`.
    channels
        Channels of each stage; stages that the image is too small for are left out.
    blocks
        Residual blocks of a stage.
    """
    shape = metadata["shape"]
    fitting = stages_that_fit(channels, shape)
    if network == "resnet":
        # A first halving for large images, as the published network has two.
        stride = 2 if min(shape[-2:]) >= 64 else 1
        encoder: nn.Module = ResidualEncoder(shape[-3], fitting, blocks=blocks, stride=stride)
    elif network == "cnn":
        encoder = conv_encoder(2, shape[-3], fitting)
    else:
        raise ValueError(f"network is '{network}', not cnn or resnet")
    return Normalised(encoder, metadata.get("normalisation", "none"), shape[-3])


class MapVector(nn.Module):
    """One vector of a map, which keeps coarse positions: ``(B, C, H, W) -> (B, features)``.

    The map is averaged within about 4 x 4 cells, then a dense layer reads all of them.

    Parameters
    ----------
    network
        ``(B, C, H, W) -> (B, F, h, w)``.
    shape
        ``(..., C, H, W)`` of the image.
    features
        Width of the output; 0 averages the whole map instead.
    """

    def __init__(self, network: nn.Module, shape: Sequence[int], features: int) -> None:
        super().__init__()
        self.network = network
        height, width = (network.steps(shape[dim], dim) for dim in (-2, -1))  # type: ignore[operator]
        self.cell = (height, width)
        self.dense: nn.Module = nn.Identity()
        self.out_features = features_of(network)
        if features:
            self.cell = max(1, height // _POSITIONS), max(1, width // _POSITIONS)
            area = (height // self.cell[0]) * (width // self.cell[1])
            self.dense = nn.Sequential(nn.Linear(self.out_features * area, features), nn.ReLU())
            self.out_features = features

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        return self.dense(F.avg_pool2d(self.network(x), self.cell).flatten(1))


def image_vector(metadata: Metadata, *, features: int = 0, **hyperparameters: Any) -> nn.Module:
    """Make a network of an image that returns a vector, with ``out_features``.

    Parameters
    ----------
    metadata
        ``shape`` of the image or clip, and ``normalisation``.
    features
        As `MapVector` takes them.
    hyperparameters
        Those of `image_map`, or of `danq.vision.own_tasks.backbones.backbone_of`.
    """
    if "backbone" in hyperparameters:
        return backbone_of(metadata, **hyperparameters)
    return MapVector(image_map(metadata, **hyperparameters), metadata["shape"], features)


def frame_vectors(metadata: Metadata, **hyperparameters: Any) -> FrameEncoder:
    """Apply `image_vector` to every frame: ``(B, T, C, H, W) -> (B, T, F)``."""
    return FrameEncoder(image_vector(metadata, **hyperparameters))
