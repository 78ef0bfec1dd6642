from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import RegionAlign


def interpolated(plane, y, x):
    """Value at a point, y and x in positions: the four around it, weighted by nearness."""
    height, width = plane.shape
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    dy, dx = y - top, x - left
    return (
        plane[top, left] * (1 - dy) * (1 - dx)
        + plane[top, left + 1] * (1 - dy) * dx
        + plane[top + 1, left] * dy * (1 - dx)
        + plane[top + 1, left + 1] * dy * dx
    )


def aligned(plane, box, size, samples):
    """RoIAlign as its paper says it, point by point."""
    height, width = plane.shape
    x0, y0, x1, y1 = box * [width, height, width, height]
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            for a in range(samples):
                for b in range(samples):
                    y = y0 + (y1 - y0) * (i + (a + 0.5) / samples) / size
                    x = x0 + (x1 - x0) * (j + (b + 0.5) / samples) / size
                    out[i, j] += interpolated(plane, y - 0.5, x - 0.5) / samples**2
    return out


@pytest.mark.parametrize(("size", "samples"), [(1, 1), (3, 2), (4, 1)])
def test_equals_a_sum_over_points(size, samples):
    rng = np.random.default_rng(size)
    maps = rng.normal(size=(2, 3, 5, 7))
    corners = np.sort(rng.random((2, 4, 2, 2)), axis=2)
    boxes = corners.reshape(2, 4, 4)
    found = RegionAlign(size, samples=samples)(torch.from_numpy(maps), torch.from_numpy(boxes))
    assert found.shape == (2, 4, 3, size, size)
    for row in range(2):
        for region in range(4):
            for channel in range(3):
                expected = aligned(maps[row, channel], boxes[row, region], size, samples)
                np.testing.assert_allclose(found[row, region, channel], expected, atol=1e-9)


def test_the_whole_map_at_the_same_size_is_unchanged():
    maps = torch.randn(2, 3, 4, 4)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, 1, 4)
    torch.testing.assert_close(RegionAlign(4, samples=1)(maps, whole)[:, 0], maps)


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="both must be 1 or more"):
        RegionAlign(0)
