"""Encoders whose steps are there already: tokens, vectors, columns of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core.conv import ConvEncoder
from danq.core.heads import Mlp
from danq.core.masks import lengths_mask, silent


class TokenEncoder(nn.Module):
    """A learnt vector for each symbol: ``(B, T)`` numbers below ``vocabulary`` ``-> (B, T, F)``."""

    takes_mask = True

    def __init__(self, vocabulary: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        self.out_features = features

    def forward(
        self, x: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        """Vectors of the symbols; padded ones may hold any number and give 0."""
        if mask is None:
            return self.embedding(x)
        return silent(self.embedding(x.masked_fill(~mask, 0)), mask.unsqueeze(2))


class FeatureEncoder(nn.Module):
    """Vectors that were measured, such as sound features: ``(B, T, in_features) -> (B, T, F)``.

    Each feature is brought to mean 0 and deviation 1 by figures that `standardise` takes from
    training data (none until then), and dense layers follow at every step.

    Parameters
    ----------
    in_features
        Features of a step.
    hidden
        Widths of the dense layers, each with ReLU and dropout; none keeps the features.
    dropout
        After each dense layer.
    """

    takes_mask = True
    centre: Tensor
    scale: Tensor

    def __init__(
        self, in_features: int, hidden: Sequence[int] = (), *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(in_features))
        self.register_buffer("scale", torch.ones(in_features))
        self.dense = Mlp(in_features, hidden, dropout=dropout)
        self.out_features = self.dense.out_features

    @torch.no_grad()
    def standardise(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None
    ) -> None:
        """Take mean and deviation of the real steps; a constant feature keeps its scale."""
        steps = x.flatten(0, 1) if mask is None else x[mask]
        deviation = steps.std(dim=0, unbiased=False)
        self.centre.copy_(steps.mean(dim=0))
        self.scale.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        y = self.dense((x - self.centre) / self.scale)
        return silent(y, None if mask is None else mask.unsqueeze(2))


class ColumnEncoder(nn.Module):
    """Columns of an image as steps, for lines of text: ``(B, C, H, W) -> (B, T, F)``.

    A step holds all rows of one column of the encoder's map, ``F = channels * rows``.

    Parameters
    ----------
    encoder
        2-D convolutions.
    height
        Height H of every image.
    """

    def __init__(self, encoder: ConvEncoder, height: int) -> None:
        super().__init__()
        self.encoder, self.height = encoder, height
        self.out_features = encoder.out_features * encoder.steps(height)
        if self.out_features < 1:
            raise ValueError(f"images {height} pixels high leave no row after the convolutions")

    def steps(self, width: int) -> int:
        """Steps T of images ``width`` pixels wide."""
        return self.encoder.steps(width, dim=1)

    def mask(self, widths: Int[Tensor, " B"], width: int) -> Bool[Tensor, "B T"]:
        """Real steps of images of those widths, in a batch ``width`` pixels wide."""
        lengths = torch.tensor([self.steps(int(one)) for one in widths], device=widths.device)
        return lengths_mask(lengths, self.steps(width))

    def forward(
        self, x: Float[Tensor, "B C H W"], widths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T F"]:
        """Features of each column.

        ``widths`` are those of the images before padding at the right; what stands there changes
        no real step, and padded steps give 0.
        """
        if x.shape[2] != self.height:
            raise ValueError(
                f"images are {x.shape[2]} pixels high, this layer was built for {self.height}"
            )
        for stage in self.encoder.stages:
            x = stage(_cut(x, widths))
            if widths is not None:
                sizes = [stage.size(int(one), 1) for one in widths]  # type: ignore[operator]
                widths = widths.new_tensor(sizes)
        return _cut(x, widths).flatten(1, 2).transpose(1, 2)


def _cut(x: Float[Tensor, "B C H W"], widths: Int[Tensor, " B"] | None) -> Tensor:
    return x if widths is None else silent(x, lengths_mask(widths, x.shape[3])[:, None, None])
