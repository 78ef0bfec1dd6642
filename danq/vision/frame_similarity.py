"""Similarity of images: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter

WINDOW = 7
"""Pixels per side of a window of the structural similarity."""


def signal_to_noise(squared_error: float) -> float:
    """Peak signal-to-noise ratio in decibels of values in [0, 1]; infinite without an error."""
    return math.inf if squared_error == 0 else -10 * math.log10(squared_error)


def structural_similarity(
    found: Float[np.ndarray, "... H W"], true: Float[np.ndarray, "... H W"]
) -> float:
    """Mean structural similarity of images with values in [0, 1].

    Notes
    -----
    Wang et al., IEEE Transactions on Image Processing 2004, with uniform windows of 7 x 7 pixels
    (or the largest odd size that fits) and unbiased variances, as in scikit-image.
    """
    height, width = found.shape[-2:]
    size = min(WINDOW, height - 1 + height % 2, width - 1 + width % 2)
    images = [one.reshape(-1, height, width).astype(np.float64) for one in (found, true)]
    count = size**2
    unbiased = count / max(1, count - 1)

    def mean(values: np.ndarray) -> np.ndarray:
        window: Any = (1, size, size)
        return uniform_filter(values, window)

    x, y = images
    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y, covariance = (
        unbiased * (mean(a * b) - mean_a * mean_b)
        for a, b, mean_a, mean_b in (
            (x, x, mean_x, mean_x),
            (y, y, mean_y, mean_y),
            (x, y, mean_x, mean_y),
        )
    )
    light, contrast = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + light) * (2 * covariance + contrast)
    similarity /= (mean_x**2 + mean_y**2 + light) * (variance_x + variance_y + contrast)
    edge = (size - 1) // 2
    return float(similarity[:, edge : height - edge, edge : width - edge].mean())
