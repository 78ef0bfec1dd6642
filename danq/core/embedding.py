"""Vectors whose distances mean likeness."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from danq.core.sizes import features_of


class Embedding(nn.Module):
    """A point on the unit sphere: ``(B, F) -> (B, E)``.

    Parameters
    ----------
    body
        Module with ``out_features``, such as `Mlp`, before the last dense layer.
    size
        Coordinates E.
    normalise
        Divide by the length; without, points lie anywhere.

    Losses are `triplet_loss` and `contrastive_loss`; for an identity loss beside them, put
    `Classes` on what this head gives.
    """

    def __init__(self, body: nn.Module, size: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(features_of(body), size)
        self.normalise = normalise
        self.out_features = size

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B E"]:
        y = self.output(self.body(x))
        return F.normalize(y, dim=1) if self.normalise else y
