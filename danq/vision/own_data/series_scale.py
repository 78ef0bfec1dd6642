"""The scale of channels of series."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

FLOAT32, FLOAT64 = 1e-6, 1e-12
"""Standard deviation, relative to the mean, that is rounding of values of these types."""


def divisors(
    mean: Float64[np.ndarray, " C"], spread: Float64[np.ndarray, " C"], rounding: float
) -> Float64[np.ndarray, " C"]:
    """Standard deviation of each channel; 1 if the channel never changes.

    Parameters
    ----------
    mean, spread
        Mean and standard deviation of each channel.
    rounding
        `FLOAT32` or `FLOAT64`.
    """
    return np.where(spread > rounding * np.abs(mean), spread, 1.0)
