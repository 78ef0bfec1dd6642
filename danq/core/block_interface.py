"""What blocks report about themselves: ``out_features`` and ``takes_mask``."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor, nn


def features_of(block: nn.Module) -> int:
    """Number of output features of a block: its ``out_features``.

    Raises
    ------
    ValueError
        When the block has no integer ``out_features``.
    """
    features = getattr(block, "out_features", None)
    if not isinstance(features, int):
        raise ValueError(f"{type(block).__name__} has no integer out_features")
    return features


def with_mask(block: nn.Module, x: Tensor, mask: Bool[Tensor, "B T"] | None) -> Tensor:
    """Output of a block, which gets the mask if there is one and the block ``takes_mask``."""
    if mask is not None and getattr(block, "takes_mask", False):
        return block(x, mask)
    return block(x)
