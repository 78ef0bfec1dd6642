"""Groups of core blocks that several systems begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from danq.core import FrameEncoder, Recurrent, Tcn, conv_encoder


def temporal(kind: str, features: int, **numbers: Any) -> Recurrent | Tcn:
    """An LSTM, a GRU (one direction unless told otherwise) or a causal TCN over steps.

    Parameters
    ----------
    kind
        "lstm", "gru" or "tcn".
    features
        Features of a step.
    numbers
        What `danq.core.Recurrent` or `danq.core.Tcn` takes.
    """
    if kind == "tcn":
        return Tcn(features, **numbers)
    return Recurrent(features, kind=kind, **{"bidirectional": False, **numbers})


def image_cnn(shape: Sequence[int], channels: Sequence[int], features: int) -> nn.Sequential:
    """A small network that keeps where things are: ``(B, C, H, W) -> (B, features)``.

    Convolutions of width 3, each with a pool of 2, then one dense layer over the whole map.

    Parameters
    ----------
    shape
        ``(..., C, H, W)`` of an image or clip.
    channels
        Channels of each stage.
    features
        Width of the output.
    """
    encoder = conv_encoder(2, shape[-3], channels)
    area = (shape[-2] >> len(channels)) * (shape[-1] >> len(channels))
    return nn.Sequential(
        encoder, nn.Flatten(), nn.Linear(encoder.out_features * area, features), nn.ReLU()
    )


def frame_cnn(shape: Sequence[int], channels: Sequence[int], features: int) -> FrameEncoder:
    """`image_cnn` at every frame: ``(B, T, C, H, W) -> (B, T, features)``."""
    return FrameEncoder(image_cnn(shape, channels, features), features)
