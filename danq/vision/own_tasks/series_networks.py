"""Networks of series of unequal length: convolutions and pools that respect the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import AttentionPool, Freezable, Mean
from danq.core.masks import zero_padding
from danq.vision.model_blocks import temporal

_FEW_STEPS = 64
"""Steps at which the pools of `SeriesEncoder` stop."""


class SeriesEncoder(Freezable):
    """Convolutions over the steps: ``(B, T, C) -> (B, S, F)`` and the mask of the new steps.

    Each stage is a convolution that keeps the number of steps, and a ReLU. While more than 64 steps
    are left, a max-pool of 2 follows. Padding affects no real step.

    Parameters
    ----------
    in_features
        Features C of a step.
    channels
        Channels of each stage.
    width
        Steps of a filter, odd.
    steps
        Number of steps T of the longest series.
    """

    def __init__(self, in_features: int, channels: Sequence[int], width: int, steps: int) -> None:
        super().__init__()
        if not channels or width % 2 == 0:
            raise ValueError(f"channels are {list(channels)} and width is {width}, not odd")
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, width, padding=width // 2)
            for before, after in zip([in_features, *channels], channels, strict=False)
        )
        self.pools = []
        for _ in channels:
            self.pools.append(steps > _FEW_STEPS)
            steps = -(-steps // 2) if self.pools[-1] else steps
        self.out_features = channels[-1]

    def forward(
        self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B S F"], Bool[Tensor, "B S"]]:
        y, real = x.transpose(1, 2), mask.unsqueeze(1)
        for convolution, pool in zip(self.convolutions, self.pools, strict=True):
            # Values of a ReLU are 0 or more, so that 0 at padding wins no maximum.
            y = zero_padding(F.relu(convolution(zero_padding(y, real))), real)
            if pool:
                y = F.max_pool1d(y, 2, ceil_mode=True)
                real = F.max_pool1d(real.to(y.dtype), 2, ceil_mode=True) > 0
        return y.transpose(1, 2), real.squeeze(1)


class SeriesNetwork(nn.Module):
    """Series of unequal length to one vector or to logits: ``(B, T, C) -> (B, F)``.

    Parameters
    ----------
    first
        A module of the series, such as `Standardised`; or None.
    encoder
        The convolutions.
    layer
        A temporal layer, or None.
    pooling
        ``(B, S, F) -> (B, G)``.
    head
        ``(B, G) -> (B, K)``, or None.
    dropout
        Dropout before the head.
    """

    takes_mask = True

    def __init__(
        self,
        first: nn.Module | None,
        encoder: SeriesEncoder,
        layer: nn.Module | None,
        pooling: nn.Module,
        head: nn.Module | None,
    ) -> None:
        super().__init__()
        self.first, self.encoder, self.layer = first, encoder, layer
        self.pooling, self.head = pooling, head
        self.out_features: int = (head or pooling).out_features  # type: ignore[assignment]

    def forward(
        self, series: Float[Tensor, "B T C"], real: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B K"]:
        x = series if self.first is None else self.first(series)
        y, mask = self.encoder(x, real)
        if self.layer is not None:
            y = self.layer(y, mask)
        y = self.pooling(y, mask)
        return y if self.head is None else self.head(y)


def series_pooling(name: str, features: int) -> nn.Module:
    """Pooling over steps by its name: "mean" or "attention".

    Raises
    ------
    ValueError
        When there is no such pooling.
    """
    if name == "mean":
        return Mean(features)
    if name == "attention":
        return AttentionPool(features, max(16, features // 2))
    raise ValueError(f"pooling is '{name}', not mean or attention")


def temporal_layer(
    kind: str, features: int, hidden: int, width: int = 3, blocks: int = 3
) -> nn.Module:
    """Make a temporal layer that reads both directions.

    Parameters
    ----------
    kind
        "lstm", "gru" or "tcn".
    features
        Features of a step.
    hidden
        Units per direction, or channels of each block of a TCN.
    width, blocks
        Steps of a filter and number of blocks of a TCN.

    Raises
    ------
    ValueError
        When there is no such layer.
    """
    if kind not in ("lstm", "gru", "tcn"):
        raise ValueError(f"the layer is '{kind}', not lstm, gru or tcn")
    options: dict[str, Any] = {"hidden": hidden, "bidirectional": True}
    if kind == "tcn":
        options = {"channels": [hidden] * blocks, "width": width, "causal": False, "start": "he"}
    return temporal(kind, features, **options)
