"""Pooling of all steps into one vector: ``(B, T, F) -> (B, G)``."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import zero_padding


class Flatten(nn.Module):
    """All steps concatenated: ``out[:, t * F + f] = x[:, t, f]``.

    The number of steps is fixed; padded steps are 0.
    """

    def __init__(self, in_features: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.out_features = in_features * steps

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B G"]:
        if x.shape[1] != self.steps:
            raise ValueError(f"input has {x.shape[1]} steps, this layer was built for {self.steps}")
        return zero_padding(x, None if mask is None else mask.unsqueeze(2)).reshape(x.shape[0], -1)


class Last(nn.Module):
    """The last real step."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B F"]:
        if mask is None:
            return x[:, -1]
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        return x[torch.arange(x.shape[0], device=x.device), last]


class Mean(nn.Module):
    """Mean over real steps."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B F"]:
        if mask is None:
            return x.mean(dim=1)
        real = mask.unsqueeze(2)
        return zero_padding(x, real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


class Max(nn.Module):
    """Maximum of each feature over real steps; 0 in a row without a real step."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B F"]:
        if mask is None:
            return x.amax(dim=1)
        hidden = x.masked_fill(~mask.unsqueeze(2), float("-inf")).amax(dim=1)
        return torch.where(mask.any(dim=1, keepdim=True), hidden, torch.zeros_like(hidden))


class MeanMax(nn.Module):
    """Mean of each feature over real steps, then the maximum: ``G = 2 F``."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.mean, self.max = Mean(in_features), Max(in_features)
        self.out_features = 2 * in_features

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B G"]:
        return torch.cat([self.mean(x, mask), self.max(x, mask)], dim=1)
