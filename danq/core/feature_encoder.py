"""Measured feature vectors as steps, such as sound features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.heads import Mlp
from danq.core.masks import zero_padding


class FeatureEncoder(nn.Module):
    """Standardised features, then dense layers: ``(B, T, in_features) -> (B, T, F)``.

    `standardise` sets the mean and standard deviation of each feature from training data; until
    then features are used as they are. The dense layers are applied at every step.

    Parameters
    ----------
    in_features
        Number of features per step.
    hidden
        Widths of the dense layers, each with ReLU and dropout; none returns the features.
    dropout
        Dropout after each dense layer.
    """

    takes_mask = True
    centre: Tensor
    scale: Tensor

    def __init__(
        self, in_features: int, hidden: Sequence[int] = (), *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(in_features))
        self.register_buffer("scale", torch.ones(in_features))
        self.dense = Mlp(in_features, hidden, dropout=dropout)
        self.out_features = self.dense.out_features

    @torch.no_grad()
    def standardise(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None
    ) -> None:
        """Set mean and standard deviation from real steps; a constant feature is not scaled."""
        steps = x.flatten(0, 1) if mask is None else x[mask]
        deviation = steps.std(dim=0, unbiased=False)
        self.centre.copy_(steps.mean(dim=0))
        self.scale.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        y = self.dense((x - self.centre) / self.scale)
        return zero_padding(y, None if mask is None else mask.unsqueeze(2))
