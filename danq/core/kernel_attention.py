"""Attention to a map by a convolution kernel computed from a query."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class KernelAttention(nn.Module):
    """A map weighted by a query: ``(B, F, h, w) -> (B, F, h, w)``.

    The query q gives a convolution kernel of F channels, ``k = sigmoid(W q + b)``. The softmax over
    positions of the map convolved with this kernel gives the weights.

    Parameters
    ----------
    in_features
        Features F of the map.
    query_features
        Width of the query.
    width
        Width of the kernel in positions, odd.

    Notes
    -----
    Configurable convolutional kernels of Chen et al., "ABC-CNN" (2015).
    """

    def __init__(self, in_features: int, query_features: int, *, width: int = 3) -> None:
        super().__init__()
        if width % 2 == 0:
            raise ValueError(f"width is {width}, not odd")
        self.width = width
        self.kernel = nn.Linear(query_features, in_features * width * width)
        self.out_features = in_features

    def weights(
        self, maps: Float[Tensor, "B F h w"], query: Float[Tensor, "B Q"]
    ) -> Float[Tensor, "B h w"]:
        """Weights of the positions: positive, and 1 in sum over each map."""
        rows, features, height, width = maps.shape
        kernels = self.kernel(query).sigmoid().view(rows, features, self.width, self.width)
        # One group per row, so that each map is convolved with its own kernel.
        flat = maps.reshape(1, rows * features, height, width)
        scores = F.conv2d(flat, kernels, padding=self.width // 2, groups=rows)
        return scores.view(rows, height * width).softmax(dim=1).view(rows, height, width)

    def forward(
        self, maps: Float[Tensor, "B F h w"], query: Float[Tensor, "B Q"]
    ) -> Float[Tensor, "B F h w"]:
        return maps * self.weights(maps, query).unsqueeze(1)
