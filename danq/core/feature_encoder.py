"""Measured feature vectors as steps, such as sound features."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.heads import Mlp
from danq.core.masks import zero_padding


class FeatureEncoder(nn.Module):
    """Dense layers applied to the features of every step: ``(B, T, in_features) -> (B, T, F)``.

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

    def __init__(
        self, in_features: int, hidden: Sequence[int] = (), *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dense = Mlp(in_features, hidden, dropout=dropout)
        self.out_features = self.dense.out_features

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        y = self.dense(x)
        return zero_padding(y, None if mask is None else mask.unsqueeze(2))
