"""The scale of channels of series."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

_ROUNDING = 1e-6
"""Spread, relative to the mean, that is taken for rounding."""


def divisors(
    mean: Float64[np.ndarray, " C"], spread: Float64[np.ndarray, " C"]
) -> Float64[np.ndarray, " C"]:
    """By what channels are divided: their standard deviation; 1 if they never change."""
    return np.where(spread > _ROUNDING * np.abs(mean), spread, 1.0)
