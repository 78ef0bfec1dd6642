"""Regions of a map, resampled to one size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RegionAlign(nn.Module):
    """Features of boxes in a map: ``(B, F, h, w), (B, R, 4) -> (B, R, F, size, size)``.

    Each box is divided into ``size`` x ``size`` cells. A cell is the mean of ``samples`` x
    ``samples`` evenly spaced points, each interpolated bilinearly. Points outside the map take the
    value at its border.

    Parameters
    ----------
    size
        Cells along each side of a box.
    samples
        Points along each side of a cell.

    Boxes are ``(x0, y0, x1, y1)`` as fractions of the image's width and height, so they fit maps of
    any scale. The positions of a map are squares that cover the image; values are at their centres.

    Notes
    -----
    RoIAlign of He et al., "Mask R-CNN", ICCV 2017. Equals ``roi_align(aligned=True)`` of
    torchvision for boxes within the image.
    """

    def __init__(self, size: int, *, samples: int = 2) -> None:
        super().__init__()
        if size < 1 or samples < 1:
            raise ValueError(f"size is {size} and samples is {samples}; both must be 1 or more")
        self.size, self.samples = size, samples

    def forward(
        self, maps: Float[Tensor, "B F h w"], boxes: Float[Tensor, "B R 4"]
    ) -> Float[Tensor, "B R F size size"]:
        rows, count = boxes.shape[:2]
        points = self.size * self.samples
        share = (torch.arange(points, device=boxes.device, dtype=boxes.dtype) + 0.5) / points
        low, high = boxes[..., :2, None], boxes[..., 2:, None]
        x, y = (low + (high - low) * share).unbind(dim=2)
        grid = torch.stack(
            [
                x.unsqueeze(2).expand(-1, -1, points, -1),
                y.unsqueeze(3).expand(-1, -1, -1, points),
            ],
            dim=-1,
        )
        # The boxes of a row share one tall grid, so that its map is not copied for each box.
        values = F.grid_sample(
            maps.to(grid.dtype),
            (2 * grid - 1).flatten(1, 2),
            padding_mode="border",
            align_corners=False,
        )
        values = values.unflatten(2, (count, points)).transpose(1, 2)
        return F.avg_pool2d(values.flatten(0, 1), self.samples).unflatten(0, (rows, count))
