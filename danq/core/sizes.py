"""How wide a block's output is."""

from __future__ import annotations

from torch import nn


def features_of(block: nn.Module) -> int:
    """Number of features that a block gives: its ``out_features``.

    Raises
    ------
    ValueError
        When the block does not say.
    """
    features = getattr(block, "out_features", None)
    if not isinstance(features, int):
        raise ValueError(f"{type(block).__name__} does not say its out_features")
    return features
