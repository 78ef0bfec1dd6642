"""Normalisation of pixels within a network."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import features_of

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the channels of ImageNet's images."""


class Normalised(nn.Module):
    """A network that receives pixels in [0, 1] and normalises them itself.

    Parameters
    ----------
    network
        ``(B, C, H, W)`` to any output.
    normalisation
        ``"none"``, or ``"imagenet"`` for the mean and standard deviation of ImageNet's channels
        (their means over channels for grey images).
    channels
        Number of channels C: 1 or 3.
    features
        Number of features; None reads ``out_features`` of the network.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, network: nn.Module, normalisation: str, channels: int, features: int | None = None
    ) -> None:
        super().__init__()
        if normalisation not in ("none", "imagenet"):
            raise ValueError(f"normalisation is '{normalisation}', not none or imagenet")
        self.network = network
        self.out_features = features_of(network) if features is None else features
        mean, scale = torch.tensor(IMAGENET if normalisation == "imagenet" else ([0.0], [1.0]))
        if channels == 1:
            mean, scale = mean.mean(dim=0, keepdim=True), scale.mean(dim=0, keepdim=True)
        # They follow from the metadata, and are no weights.
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(-1, 1, 1), persistent=False)

    def steps(self, length: int, dim: int = 0) -> int:
        """Output positions along a dimension for ``length`` input positions."""
        return self.network.steps(length, dim)  # type: ignore[operator,no-any-return]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        return self.network((x - self.mean) / self.scale)
