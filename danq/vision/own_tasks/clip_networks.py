"""Networks of clips of unequal length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import (
    ClipEncoder,
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Mean,
    Mlp,
    PerStep,
    features_of,
)
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.image_networks import frame_vectors, stages_that_fit
from danq.vision.own_tasks.pixel_normalisation import Normalised
from danq.vision.own_tasks.series_networks import series_pooling, temporal_layer

Head = Callable[[int], nn.Module]
"""Makes a head from the number of features that it reads."""


def frame_network(
    metadata: Metadata,
    head: Head | None,
    *,
    layer: str,
    hidden: int,
    width: int = 3,
    layers: int = 3,
    pooling: str = "mean",
    dropout: float = 0.2,
    **frame: Any,
) -> CnnRnn:
    """Make a network of every frame, a temporal layer over the frames, a pooling and a head.

    Parameters
    ----------
    metadata
        ``shape`` of the clip and ``normalisation``.
    head
        Makes the head; None returns the pooled features, or those of every frame.
    layer, hidden, width, layers
        Temporal layer, as `temporal_layer` takes them; ``layers`` are the blocks of a TCN.
    pooling
        "mean" or "attention"; "" keeps all frames.
    dropout
        Dropout after the frames' network and after the temporal layer.
    frame
        Network of a frame, as `image_vector` takes it.
    """
    frames = frame_vectors(metadata, **frame)
    over_time = temporal_layer(layer, frames.out_features, hidden, width, layers)
    size = features_of(over_time)
    return CnnRnn(
        frames,
        over_time,
        series_pooling(pooling, size) if pooling else None,
        None if head is None else head(size),
        encoder_dropout=dropout,
        temporal_dropout=dropout,
    )


class RepeatedFrames(nn.Module):
    """A network of clips of one length, which reads the last real frame in place of padding.

    Parameters
    ----------
    network
        ``(B, T, C, H, W) -> (B, K)``.
    """

    takes_mask = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.out_features = features_of(network)

    def forward(
        self, clip: Float[Tensor, "B T C H W"], real: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B K"]:
        along = torch.arange(clip.shape[1], device=clip.device)
        last = (real.sum(dim=1, keepdim=True) - 1).clamp(min=0)
        index = torch.minimum(along.unsqueeze(0), last)
        rows = torch.arange(clip.shape[0], device=clip.device).unsqueeze(1)
        return self.network(clip[rows, index])


class _OfFrames(nn.Module):
    """`Normalised` for the layout of 3-D convolutions, ``(B, C, T, H, W)``."""

    def __init__(self, network: nn.Module, normalisation: str, channels: int) -> None:
        super().__init__()
        inner = Normalised(network, normalisation, channels)
        inner.mean, inner.scale = inner.mean.unsqueeze(1), inner.scale.unsqueeze(1)
        self.network = inner
        self.out_features = inner.out_features

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Tensor:
        return self.network(x)


def volume_network(
    metadata: Metadata, head: Head | None, *, channels: Sequence[int], dropout: float
) -> RepeatedFrames:
    """Make 3-D convolutions over a clip, their mean and a head.

    The first stage keeps the number of frames, as in the published network.
    """
    shape = metadata["shape"]
    fitting = stages_that_fit(channels, shape)
    stages, steps = [], shape[0]
    for number, (before, after) in enumerate(zip([shape[1], *fitting], fitting, strict=False)):
        along = 2 if number and steps > 1 else 1
        stages.append(ConvStage(3, before, after, 3, pool=(along, 2, 2), padding=1, norm=True))
        steps //= along
    body = ConvEncoder(stages)
    clip = ClipEncoder(_OfFrames(body, metadata.get("normalisation", "none"), shape[1]))
    size = clip.out_features
    made = None if head is None else head(size)
    return RepeatedFrames(CnnRnn(clip, None, Mean(size), made, encoder_dropout=dropout))


def step_head(outputs: int) -> Head:
    """Make a head with ``outputs`` values at every step."""
    return lambda size: PerStep(Mlp(size, ()), outputs)
