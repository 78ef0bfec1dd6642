"""Learnt vectors of symbols, such as words."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core.masks import zero_padding


class TokenEncoder(nn.Module):
    """A learnt vector per symbol: ``(B, T)`` integers below ``vocabulary`` to ``(B, T, F)``."""

    takes_mask = True

    def __init__(self, vocabulary: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        self.out_features = features

    def forward(
        self, x: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        """Vectors of the symbols; 0 at padding, where ``x`` may hold any integer."""
        if mask is None:
            return self.embedding(x)
        return zero_padding(self.embedding(x.masked_fill(~mask, 0)), mask.unsqueeze(2))
