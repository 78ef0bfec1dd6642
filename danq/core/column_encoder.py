"""Columns of an image as steps, for lines of text."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core.convolutional_encoder import ConvEncoder
from danq.core.masks import lengths_mask, zero_padding


class ColumnEncoder(nn.Module):
    """Columns of an image as steps: ``(B, C, H, W) -> (B, T, F)``.

    A step is one column of the encoder's map with all its rows: ``F = channels * rows``.

    Parameters
    ----------
    encoder
        An encoder of 2-D convolutions.
    height
        Height H of every image, in pixels.
    """

    def __init__(self, encoder: ConvEncoder, height: int) -> None:
        super().__init__()
        self.encoder, self.height = encoder, height
        self.out_features = encoder.out_features * encoder.steps(height)
        if self.out_features < 1:
            raise ValueError(f"images of height {height} leave no row after the convolutions")

    def steps(self, width: int) -> int:
        """Number of steps T of images ``width`` pixels wide."""
        return self.encoder.steps(width, dim=1)

    def mask(self, widths: Int[Tensor, " B"], width: int) -> Bool[Tensor, "B T"]:
        """Mask of the real steps of images of these widths, padded to ``width`` pixels."""
        lengths = torch.tensor([self.steps(int(one)) for one in widths], device=widths.device)
        return lengths_mask(lengths, self.steps(width))

    def forward(
        self, x: Float[Tensor, "B C H W"], widths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T F"]:
        """Features of each column.

        ``widths`` are the widths of the images before they were padded on the right. Padding
        affects no real step, and padded steps are 0.
        """
        if x.shape[2] != self.height:
            raise ValueError(
                f"images have height {x.shape[2]}, this layer was built for {self.height}"
            )
        for stage in self.encoder.stages:
            x = stage(_zero_beyond(x, widths))
            if widths is not None:
                sizes = [stage.size(int(one), 1) for one in widths]  # type: ignore[operator]
                widths = widths.new_tensor(sizes)
        return _zero_beyond(x, widths).flatten(1, 2).transpose(1, 2)


def _zero_beyond(x: Float[Tensor, "B C H W"], widths: Int[Tensor, " B"] | None) -> Tensor:
    return x if widths is None else zero_padding(x, lengths_mask(widths, x.shape[3])[:, None, None])
