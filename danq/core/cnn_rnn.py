"""The general CNN-RNN: encoder, temporal layer, pooling, head."""

from __future__ import annotations

from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from danq.core.block_interface import features_of, with_mask
from danq.core.dropout import Dropout


class CnnRnn(nn.Module):
    """Encoder, temporal layer, pooling and head in sequence.

    Parameters
    ----------
    encoder
        Input to ``(B, T, F)``. An encoder whose steps are those of its input, such as
        `FrameEncoder` or `TokenEncoder`, sets ``takes_mask`` and gets the mask.
    temporal
        ``(B, T, F) -> (B, T, G)``, or None for a purely convolutional model.
    pooling
        ``(B, T, G) -> (B, H)``, or None where the head reads every step, as `PerStep` does.
    head
        ``(B, H)`` to logits, or None where a fusion of several such models follows. A head that
        sets ``takes_mask`` gets the mask.
    encoder_dropout, temporal_dropout
        Dropout after the encoder and after the temporal layer.
    """

    takes_mask = True

    def __init__(
        self,
        encoder: nn.Module,
        temporal: nn.Module | None,
        pooling: nn.Module | None,
        head: nn.Module | None,
        *,
        encoder_dropout: float = 0.0,
        temporal_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder_dropout = Dropout(encoder_dropout)
        self.temporal = temporal
        self.temporal_dropout = Dropout(temporal_dropout)
        self.pooling = pooling
        self.head = head

    @property
    def out_features(self) -> int:
        """Number of output features."""
        parts = (self.head, self.pooling, self.temporal, self.encoder)
        return features_of(next(part for part in parts if part is not None))

    def forward(
        self, x: Shaped[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B ... K"]:
        """Logits of a batch; ``mask`` is True at real steps."""
        y = self.features(x, mask)
        if self.pooling is not None:
            y = self.pooling(y, mask)
        return y if self.head is None else with_mask(self.head, y, mask)

    def features(
        self, x: Shaped[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Output of the temporal layer, after its dropout, at every step."""
        steps = self.encoder_dropout(with_mask(self.encoder, x, mask))
        if self.temporal is not None:
            steps = self.temporal(steps, mask)
        return self.temporal_dropout(steps)
