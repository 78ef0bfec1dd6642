"""Maps as tokens, and pooling over all positions of a map."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.block_interface import features_of


def map_tokens(maps: Float[Tensor, "B F ..."]) -> Float[Tensor, "B N F"]:
    """Positions of a map as tokens; the last dimension varies fastest."""
    return maps.flatten(2).transpose(1, 2)


def clip_tokens(
    maps: Float[Tensor, "B T F H W"], mask: Bool[Tensor, "B T"] | None = None
) -> tuple[Float[Tensor, "B N F"], Bool[Tensor, "B N"] | None]:
    """Positions of the maps of all frames as ``N = T H W`` tokens, and their mask."""
    rows, steps, features, height, width = maps.shape
    tokens = maps.permute(0, 1, 3, 4, 2).reshape(rows, steps * height * width, features)
    return tokens, None if mask is None else mask.repeat_interleave(height * width, dim=1)


class GlobalPool(nn.Module):
    """Output map of an encoder, pooled over all positions: ``(B, C, *spatial) -> (B, F)``.

    Parameters
    ----------
    encoder
        ``(B, C, *spatial) -> (B, G, *spatial')``, such as `ConvEncoder` of 2 or 3 dimensions.
    pooling
        ``(B, N, G) -> (B, F)``, such as `Mean`, `Max` or `AttentionPool`.
    """

    def __init__(self, encoder: nn.Module, pooling: nn.Module) -> None:
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        self.out_features = features_of(pooling)

    def forward(self, x: Float[Tensor, "B C ..."]) -> Float[Tensor, "B F"]:
        return self.pooling(map_tokens(self.encoder(x)))
