"""From one vector to logits."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn


class Mlp(nn.Sequential):
    """Dense layers, each with ReLU and dropout: ``(B, in_features) -> (B, hidden[-1])``."""

    def __init__(self, in_features: int, hidden: Sequence[int], *, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        features = in_features
        for size in hidden:
            layers += [nn.Linear(features, size), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            features = size
        super().__init__(*layers)
        self.out_features = features


class MultiLabel(nn.Module):
    """One independent logit per label: ``(B, F) -> (B, K)``.

    Parameters
    ----------
    body
        Module with ``out_features``, such as `Mlp`, that comes before the last dense layer.
    labels
        Number of labels K.
    """

    def __init__(self, body: nn.Module, labels: int) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(int(body.out_features), labels)  # type: ignore[arg-type]
        self.out_features = labels

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        return self.output(self.body(x))
