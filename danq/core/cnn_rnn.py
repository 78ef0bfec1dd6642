"""The general CNN-RNN: encoder, temporal layer, pooling, head."""

from __future__ import annotations

from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn


class CnnRnn(nn.Module):
    """An encoder's steps, read by a temporal layer, pooled, and turned into logits.

    Parameters
    ----------
    encoder
        Input to ``(B, T, F)``.
    temporal
        ``(B, T, F) -> (B, T, G)``, or None for a purely convolutional model.
    pooling
        ``(B, T, G) -> (B, H)``.
    head
        ``(B, H)`` to logits.
    encoder_dropout, temporal_dropout
        Dropout after the encoder and after the temporal layer.
    """

    def __init__(
        self,
        encoder: nn.Module,
        temporal: nn.Module | None,
        pooling: nn.Module,
        head: nn.Module,
        *,
        encoder_dropout: float = 0.0,
        temporal_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder_dropout = nn.Dropout(encoder_dropout)
        self.temporal = temporal
        self.temporal_dropout = nn.Dropout(temporal_dropout)
        self.pooling = pooling
        self.head = head

    def forward(
        self, x: Shaped[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B K"]:
        """Logits of a batch; ``mask`` is True at real steps."""
        return self.head(self.pooling(self.features(x, mask), mask))

    def features(
        self, x: Shaped[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Output of the temporal layer, after its dropout, at every step."""
        steps = self.encoder_dropout(self.encoder(x))
        if self.temporal is not None:
            steps = self.temporal(steps, mask)
        return self.temporal_dropout(steps)
